"""The only place where the journal changes files: single operations, and the atomic replacement of a file.

Every change goes through a FileOperations, so a test can make the n-th one fail, hang or be forgotten.
"""

import os
from pathlib import Path

from ...runs import files
from ...runs.files import replace_file, write_all


class FileOperations(files.FileOperations):
    """The operations of runs/files.py and the journal's own; only the owner can read its files."""

    mode = 0o600

    def truncate(self, descriptor: int, nbytes: int) -> None:
        """Cuts the file."""
        os.ftruncate(descriptor, nbytes)

    def free_bytes(self, path: Path) -> int:
        """Bytes that this user can still write."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


__all__ = ["FileOperations", "replace_file", "write_all"]
