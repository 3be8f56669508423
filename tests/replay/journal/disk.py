"""A disk that fails when told to, and that knows what would be left of it after a power failure.

In this model a file's sync makes its data safe, and the directory's sync makes its names safe. What a failed sync
should have saved is lost for good, and a later sync of the same file falsely reports success.
"""

import errno
import os
from pathlib import Path

from mzpipe.runs.files import PrivateFileOperations

NAMES = ("create", "write", "sync", "truncate", "rename", "remove", "sync_directory")


class _File:
    def __init__(self) -> None:
        self.safe = b""
        self.lost: list[tuple[int, int]] = []


class Disk(PrivateFileOperations):
    """Calls fails(n, name) before the n-th operation; that gives None, or (errno, whether it takes effect)."""

    def __init__(self, directory: Path, fails=lambda n, name: None, forgets: str = "") -> None:
        self.calls: list[str] = []
        self.after = lambda: None
        self.directory, self._fails, self._forgets = directory, fails, forgets
        self._live: dict[str, _File] = {}
        self._safe_names: dict[str, _File] = {}
        self._open: dict[int, _File] = {}

    def images(self):
        """The files that a power failure can leave now: with names as of the last directory sync, or as they are."""
        for names in (self._safe_names, self._live):
            yield {name: file.safe for name, file in names.items()}

    def create(self, path):
        self._step("create")
        descriptor = super().create(path)
        self._open[descriptor] = file = self._live.setdefault(path.name, _File())
        file.safe, file.lost = b"", []
        return self._done(descriptor)

    def write(self, descriptor, buffers):
        effect = self._step("write", lambda: os.write(descriptor, bytes(buffers[0])[: len(buffers[0]) // 2]))
        return self._done(effect or super().write(descriptor, buffers))

    def sync(self, descriptor):
        file, data = self._open[descriptor], Path(f"/proc/self/fd/{descriptor}").read_bytes()
        try:
            self._step("sync")
        except OSError:
            file.lost.append((len(file.safe), len(data)))
            raise
        if self._forgets != "sync":
            for start, end in file.lost:
                data = data[:start] + bytes(min(end, len(data)) - start) + data[end:]
            file.safe = data
        self._done()

    def truncate(self, descriptor, nbytes):
        self._step("truncate", lambda: super(Disk, self).truncate(descriptor, nbytes))
        self._done(super().truncate(descriptor, nbytes))

    def close(self, descriptor):
        self._open.pop(descriptor)
        super().close(descriptor)

    def rename(self, source, target):
        self._step("rename", lambda: self._rename(source, target))
        self._done(self._rename(source, target))

    def remove(self, path):
        self._step("remove", lambda: self._remove(path))
        self._done(self._remove(path))

    def sync_directory(self, path):
        self._step("sync_directory", lambda: self._sync_names(path))
        self._done(self._sync_names(path))

    def _rename(self, source, target):
        super().rename(source, target)
        self._live[target.name] = self._live.pop(source.name)

    def _remove(self, path):
        super().remove(path)
        self._live.pop(path.name, None)

    def _sync_names(self, path):
        if path == self.directory and self._forgets != "sync_directory":
            self._safe_names = dict(self._live)

    def _step(self, name, effect=lambda: None):
        n = len(self.calls)
        self.calls.append(name)
        failure = self._fails(n, name)
        if failure is not None:
            number, takes_effect = failure
            if takes_effect:
                effect()
            raise OSError(number, os.strerror(number))

    def _done(self, result=None):
        self.after()
        return result


class FullDisk(PrivateFileOperations):
    """A disk with `room` more bytes; a test can change `room`."""

    def __init__(self, room: float) -> None:
        self.room = room

    def write(self, descriptor, buffers):
        size = sum(len(buffer) for buffer in buffers)
        if size > self.room:
            fits, self.room = int(self.room), 0
            if not fits:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return os.write(descriptor, b"".join(buffers)[:fits])
        self.room -= size
        return super().write(descriptor, buffers)

    def free_bytes(self, path):
        return int(self.room)
