"""The only place of the journal that changes files: single operations, and the atomic replacement of a file.

Everything goes through a FileOperations, so a test can make the n-th one fail, hang or be forgotten.
"""

import os
from pathlib import Path

from ...runs import files
from ...runs.files import replace_file, write_all


class FileOperations(files.FileOperations):
    """Those of runs/files.py and the journal's own; its files are their owner's alone."""

    mode = 0o600

    def truncate(self, descriptor: int, nbytes: int) -> None:
        """Cuts the file."""
        os.ftruncate(descriptor, nbytes)

    def free_bytes(self, path: Path) -> int:
        """Room left for this user."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


__all__ = ["FileOperations", "replace_file", "write_all"]
