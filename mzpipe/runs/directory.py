"""The run directory on disk, and the run's runtime directory under /dev/shm.

RUN/run.lock        held (flock) by the live supervisor; has its pid, run id, runtime directory; counts
RUN/profile.toml    the resolved profile     RUN/checkpoints/   RUN/logs/ROLE-INDEX.log   RUN/journal/
RUN/tensorboard/    event files              RUN/scores.csv     evaluations

/dev/shm/mzpipe-UID-RUNID/   0700: lock (held as long as the supervisor lives), run (the path of RUN), segments, socket,
                             death pipe
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Profile, profile_text
from ..errors import AlreadyRunningError, InputOutputError, UsageError
from ..reading import read_json
from ..runtime.context import Storage
from .files import file_errors, replace_file
from .last_moment import LastMoment, last_moment_of
from .releases import hint_for, refuse_release

# The resolved profile, and the directory of checkpoints.
PROFILE, CHECKPOINTS = "profile.toml", "checkpoints"
_RUN_LOCK = "run.lock"
SHARED_MEMORY = Path("/dev/shm")
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RUN_ID = re.compile(r"[0-9a-f]{12}")
_LOCK, _RUN = "lock", "run"
_MAX_LOCK_BYTES, _MAX_COUNT = 1 << 16, 1 << 62


def refuse_no_run(path: Path) -> None:
    """Raises UsageError unless a run lives, or has lived, in the directory."""
    if not (path / PROFILE).is_file():
        raise UsageError(f"{path}: no run here (no {PROFILE}){hint_for(path)}")


def save_profile(profile: Profile, path: Path) -> None:
    """Writes every field of a profile; raises InputOutputError."""
    with file_errors("write", path):
        replace_file(path, profile_text(profile).encode())


@dataclass(frozen=True)
class LiveRun:
    """The contents of a live run's lock file."""

    pid: int
    run_id: str
    runtime_directory: str


class _LockFile(NamedTuple):
    """The contents of a lock file, which may be a stranger's: what is not as mzpipe writes it is None."""

    pid: int | None = None
    live: LiveRun | None = None
    last: LastMoment | None = None

    @classmethod
    def read(cls, path: Path) -> "_LockFile":
        try:
            fields = read_json(path, _MAX_LOCK_BYTES)
        except InputOutputError:
            return cls()
        if not isinstance(fields, dict) or not _is_count(fields.get("pid")):
            return cls()
        return cls(fields["pid"], _live_run(fields), _last_moment(fields.get("last")))


def _live_run(fields: dict[str, Any]) -> LiveRun | None:
    """The live run; a runtime directory is always the one that belongs to the run id."""
    run_id = fields.get("run_id")
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        return None
    path = str(_runtime_directory(run_id))
    return LiveRun(fields["pid"], run_id, path) if fields.get("runtime_directory") == path else None


def _last_moment(counts: object) -> LastMoment | None:
    whole = isinstance(counts, list) and len(counts) == len(LastMoment._fields) and all(map(_is_count, counts))
    return LastMoment._make(counts) if whole else None  # type: ignore[arg-type]


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_COUNT


def default_run_directory(profile_name: str, seed: int) -> Path:
    """The directory of a run that was given none."""
    return Path("runs") / f"{profile_name}-seed{seed}"


class RunDirectory:
    """The paths of one run, and its lock."""

    def __init__(self, path: Path) -> None:
        if not _RUN_NAME.fullmatch(path.name):
            raise UsageError(f"--run-dir {path}: the last part must match {_RUN_NAME.pattern}")
        self.path = path
        self.profile = path / PROFILE
        self.checkpoints = path / CHECKPOINTS
        self.journal = path / "journal"
        self.logs = path / "logs"
        self.tensorboard = path / "tensorboard"
        self.scores = path / "scores.csv"
        self._lock = path / _RUN_LOCK

    @property
    def storage(self) -> Storage:
        """The paths that roles write to."""
        return Storage(self.checkpoints, self.journal, self.logs)

    @contextlib.contextmanager
    def locked(self) -> Iterator["LockedRun"]:
        """Makes the directory and holds its lock.

        Raises AlreadyRunningError with the live supervisor's pid, UsageError for a run that comes with mzpipe.
        """
        refuse_release(self.path)
        made = [path for path in (self.logs, *self.logs.parents) if not path.exists()]
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputOutputError(f"{self.path}: cannot be used as a run directory: {error.strerror}") from None
        try:
            if not _lock_for_good(descriptor):
                raise AlreadyRunningError(f"{self.path}: already running as pid {self._holder()}")
            if not _is_at(descriptor, self._lock):
                raise AlreadyRunningError(f"{self.path}: another start has just been refused here: try again")
            contents, time_ns = os.pread(descriptor, _MAX_LOCK_BYTES, 0), os.fstat(descriptor).st_mtime_ns
            restore = partial(self._restore, descriptor, contents, time_ns, made)
            yield LockedRun(self, descriptor, _LockFile.read(self._lock), restore)
        finally:
            with contextlib.suppress(OSError):  # the descriptor is free in any case
                os.close(descriptor)

    def _restore(self, descriptor: int, contents: bytes, time_ns: int, made: list[Path]) -> None:
        """Gives the lock file its former contents and time; removes it, and directories around it, if they are new."""
        os.truncate(descriptor, os.pwrite(descriptor, contents, 0))
        os.utime(descriptor, ns=(time_ns, time_ns))
        if not contents:
            self._lock.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else has come into it
            for path in made:
                path.rmdir()

    def refuse_live(self) -> None:
        """Raises AlreadyRunningError while a supervisor holds the lock; changes nothing."""
        if self.is_held():
            raise AlreadyRunningError(f"{self.path}: is running as pid {self._holder()}: stop it first")

    def is_held(self) -> bool:
        """Whether a supervisor holds the lock; changes nothing."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def live(self) -> LiveRun:
        """The live run that a role joins; raises UsageError if there is none."""
        live = _LockFile.read(self._lock).live
        if live is None:
            raise UsageError(f"{self.path}: no live run here; start it with: mzpipe train")
        return live

    def _holder(self) -> int | str:
        """The pid of the process that holds the lock, if it has already written it."""
        return _LockFile.read(self._lock).pid or "unknown, starting at this moment"


class LockedRun:
    """A run directory whose lock this process holds.

    `former` is what the lock file held before: the live run of a supervisor that was killed, or None. `last` are the
    counts that the lock file keeps, None if they are unknown.
    """

    def __init__(self, directory: RunDirectory, descriptor: int, found: _LockFile, restore: Callable[[], None]) -> None:
        self.directory, self._descriptor = directory, descriptor
        self.former, self.last = found.live, found.last
        self._restore, self._is_touched = restore, False
        self._announce()

    def touch(self) -> None:
        """Says that the run is no longer as it was found."""
        self._is_touched = True

    @contextlib.contextmanager
    def as_found(self) -> Iterator[None]:
        """Leaves no trace of this start in the directory unless `touch` was called: a refused one changes nothing."""
        try:
            yield
        finally:
            if not self._is_touched:
                self._restore()

    def remember(self, last: LastMoment | None) -> None:
        """Keeps these counts in the lock file."""
        self.last = last
        self._announce()

    def _announce(self, **fields: object) -> None:
        """Writes the contents of the lock file; without a run id there is no run to join. Raises InputOutputError."""
        with file_errors("write the lock of", self.directory.path):
            _write_lock(self._descriptor, self.last, **{"pid": os.getpid(), **fields})

    @contextlib.contextmanager
    def runtime(self) -> Iterator[LiveRun]:
        """Makes a runtime directory, announces it in the lock file, and removes it at the end."""
        run_id, path, lock = _make_held(SHARED_MEMORY, runtime_prefix())
        try:
            with file_errors("write", path):
                (path / _RUN).write_bytes(os.fsencode(self.directory.path.resolve()))
            live = LiveRun(os.getpid(), run_id, str(path))
            self._announce(**dataclasses.asdict(live))
            yield live
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
            with contextlib.suppress(InputOutputError):  # what the file still names is gone, and a reader sees that
                self._announce()


def _write_lock(descriptor: int, last: LastMoment | None, **fields: object) -> None:
    """Writes a lock file's contents.

    It is one write, at least as long as the old contents: a reader, even after a kill, finds the old or the new. Only a
    full disk cuts the write short, and then refuses the rest.
    """
    data = json.dumps({**fields, **({"last": last} if last else {})}).encode()
    contents, written = data.ljust(os.fstat(descriptor).st_size), 0
    while written < len(contents):
        written += os.pwrite(descriptor, contents[written:], written)


@contextlib.contextmanager
def scratch_directory(purpose: str) -> Iterator[Path]:
    """A directory in the folder for temporary files; if this process is killed, a sweep removes it."""
    _, path, lock = _make_held(Path(tempfile.gettempdir()), f"mzpipe-{purpose}-{os.getuid()}-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make_held(parent: Path, prefix: str) -> tuple[str, Path, int]:
    """Returns (random id, directory, descriptor of its held lock); tries again if a sweeper removed the directory."""
    while True:
        run_id = secrets.token_hex(6)
        path = parent / f"{prefix}{run_id}"
        path.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if try_lock(lock) and (path / _LOCK).stat().st_ino == os.fstat(lock).st_ino:
                return run_id, path, lock
            os.close(lock)


def run_id_of(runtime: Path) -> str:
    """The id of the run, or of the pod's life, whose runtime directory this is."""
    return runtime.name.rpartition("-")[2]


def _runtime_directory(run_id: str) -> Path:
    return SHARED_MEMORY / f"{runtime_prefix()}{run_id}"


def runtime_prefix() -> str:
    """The prefix of the names of this user's runtime directories."""
    return f"mzpipe-{os.getuid()}-"


def sweep_leftovers(own: Path | None = None) -> list[Path]:
    """Removes this user's runtime and scratch directories whose process is gone, and returns them.

    `own` is the run directory whose lock the caller holds, if it does: it has read what its former session has left.
    """
    removed = []
    scratch = Path(tempfile.gettempdir()).glob(f"mzpipe-*-{os.getuid()}-*")
    for path in sorted([*SHARED_MEMORY.glob(f"{runtime_prefix()}*"), *scratch]):
        if _is_our_directory(path) and _remove_abandoned(path, own):
            removed.append(path)
    return removed


def leftover_bytes() -> int:
    """Bytes that `sweep_leftovers` would free; changes nothing."""
    found = [path for path in SHARED_MEMORY.glob(f"{runtime_prefix()}*") if _is_our_directory(path)]
    return sum(_bytes_in(path) for path in found if _is_abandoned(path))


def _bytes_in(directory: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # it is being removed
        return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))
    return 0


def _is_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _is_our_directory(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False  # its own supervisor, or another sweeper, has just removed it
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _remove_abandoned(path: Path, own: Path | None) -> bool:
    """Removes the directory unless a process holds its lock, or is about to read its counts.

    This function holds the lock until all is gone: a supervisor that has created the lock, but not taken it yet, finds
    it taken and tries again elsewhere.
    """
    try:
        descriptor = _open_lock(path)
    except OSError:
        return False
    try:
        if not (try_lock(descriptor) and _keep_counts(path, own)):
            return False
        shutil.rmtree(path, ignore_errors=True)
        return True
    finally:
        os.close(descriptor)


def _keep_counts(runtime: Path, own: Path | None) -> bool:
    """Writes the counts of a killed session into its run's lock file; False if a start of the run, which will do so,
    holds that."""
    run = _run_of(runtime)
    if run is None or (own is not None and run == own.resolve()):
        return True
    try:
        descriptor = os.open(run / _RUN_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True  # the run is gone
    try:
        found = _LockFile.read(run / _RUN_LOCK)
        is_last = found.live is not None and found.live.runtime_directory == str(runtime)
        last = last_moment_of(runtime, found.last) if is_last else None
        # Shared, and for a moment: a start waits for readers, and is refused by none.
        if not try_lock(descriptor, fcntl.LOCK_SH):
            live = _LockFile.read(run / _RUN_LOCK).live
            return live is not None and live.runtime_directory != str(runtime)  # a later session has kept the counts
        if is_last and _LockFile.read(run / _RUN_LOCK) == found:
            with contextlib.suppress(OSError):  # a full disk: the next start tells no losses
                _write_lock(descriptor, last, pid=found.pid)
        return True
    finally:
        os.close(descriptor)


def _run_of(runtime: Path) -> Path | None:
    """The run directory of a runtime directory; None if it does not say, or is a pod's scratch that is gone."""
    try:
        path = Path(os.fsdecode((runtime / _RUN).read_bytes()))
        return path if path.is_absolute() and path.is_dir() else None
    except (OSError, ValueError):
        return None


def _open_lock(path: Path) -> int:
    """Opens the lock file, and creates it if it is missing.

    It is missing if a removal was cut short, or if the supervisor has made the directory but not yet the lock. Such a
    supervisor finds that it is not the first.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path / _LOCK, flags)
    except FileNotFoundError:
        return os.open(path / _LOCK, flags | os.O_CREAT | os.O_EXCL, 0o600)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock_for_good(descriptor: int) -> bool:
    """Takes the lock; returns False if a supervisor holds it. Readers share it for a moment, and do not count."""
    while not try_lock(descriptor):
        if not try_lock(descriptor, fcntl.LOCK_SH):
            return False
    return True


def try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Takes a lock on a file; returns whether it is ours."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
