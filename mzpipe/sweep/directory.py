"""The directory of a sweep.

DIR/sweep.json      what every trial has in common: the profile, the space or grid, the objective, the storage
DIR/sweep.lock      held (flock) by the live sweep; has its pid
DIR/sweep.db        Optuna's trials, unless `storage` names another place
DIR/trial-0007/     a run directory      DIR/trial-0007.toml     its profile      DIR/trial-0007.log     its output
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..config import Profile, parse_profile, profile_text
from ..config.describe import values
from ..errors import AlreadyRunningError, ConfigError, InputOutputError, UsageError
from ..reading import read_file, read_json
from ..runs.directory import PROFILE, RunDirectory, try_lock
from ..runs.files import PrivateFileOperations, file_errors, replace_file
from .spec import Choices, Parameter, Range, SweepConfig, SweepSpec

_MAX_BYTES = 1 << 22
_NAME = "sweep"


class SweepDirectory:
    """The paths of one sweep, and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity, self._lock = path / "sweep.json", path / "sweep.lock"

    def run(self, name: str) -> RunDirectory:
        """The run directory of a trial."""
        return RunDirectory(self.path / name)

    def profile(self, name: str) -> Path:
        """The file of a trial's profile."""
        return self.path / f"{name}.toml"

    def log(self, name: str) -> Path:
        """The file of a trial's output."""
        return self.path / f"{name}.log"

    def url(self, storage: str) -> str:
        """The URL of Optuna's storage."""
        return storage or f"sqlite:///{self.path.absolute() / 'sweep.db'}"

    def study_name(self, storage: str) -> str:
        """The name of the study there; a storage of the user's may hold other sweeps."""
        return self.path.absolute().name if storage else _NAME

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the directory and holds its lock; raises AlreadyRunningError with the live sweep's pid."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InputOutputError(f"{self.path}: cannot be used as a sweep's directory: {error.strerror}") from None
        try:
            if not try_lock(descriptor):
                pid = read_file(self._lock, 64).decode(errors="replace").strip()
                raise AlreadyRunningError(f"{self.path}: another sweep is live here, as pid {pid or 'unknown'}")
            with file_errors("write", self._lock):
                os.ftruncate(descriptor, os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0))
            yield
        finally:
            with file_errors("write", self._lock):
                os.close(descriptor)

    def refuse_other(self, spec: SweepSpec, profile: Profile) -> None:
        """Raises UsageError if the directory holds a run, or a sweep of another profile or space."""
        if (self.path / PROFILE).is_file():
            raise UsageError(f"{self.path}: holds a run, not a sweep: give another --run-dir")
        if not self._identity.exists():
            return
        differing = _difference(self._read(), _identity(spec, profile))
        if differing:
            raise UsageError(f"{self.path}: holds another sweep ({differing}): give another --run-dir")

    def claim(self, spec: SweepSpec, profile: Profile) -> None:
        """Says whose sweep this is; raises InputOutputError."""
        fields = {**_identity(spec, profile), "storage": spec.config.storage}
        with file_errors("write", self._identity):
            replace_file(self._identity, json.dumps(fields, indent=1).encode(), PrivateFileOperations())

    def refuse_lost(self, num_begun: int, storage: str) -> None:
        """Raises InputOutputError if directory and storage are not of one sweep: one holds what the other lacks."""
        if num_begun and not self._identity.exists():
            raise InputOutputError(
                f"{self.path}: the storage's study {self.study_name(storage)!r} has {num_begun} trials that are not of "
                "this directory: give another --run-dir"
            )
        numbers = (each.name.removeprefix("trial-") for each in self.path.glob("trial-*") if each.is_dir())
        lost = sorted(each for each in numbers if each.isdecimal() and int(each) >= num_begun)
        if lost:
            raise InputOutputError(
                f"{self.path}: trial-{lost[0]} is here, and the storage has only {num_begun} trials: restore it, or "
                "give another --run-dir"
            )

    def spec(self) -> SweepSpec:
        """The sweep that was begun here; raises UsageError if there is none, InputOutputError if it is damaged."""
        if not self._identity.is_file():
            raise UsageError(f"{self.path}: no sweep here (no {self._identity.name})")
        fields = self._read()
        try:
            is_grid = "grid" in fields
            parameters = tuple(map(_parameter, fields["grid" if is_grid else "space"]))
            config = SweepConfig(objective=fields["objective"], storage=fields["storage"])
        except (KeyError, TypeError, ValueError):
            raise InputOutputError(f"{self._identity}: mzpipe did not write this") from None
        return SweepSpec(config, parameters, is_grid)

    def _read(self) -> dict[str, Any]:
        fields = read_json(self._identity, _MAX_BYTES)
        if not isinstance(fields, dict):
            raise InputOutputError(f"{self._identity}: mzpipe did not write this")
        return fields


def _identity(spec: SweepSpec, profile: Profile) -> dict[str, Any]:
    identity: dict[str, Any] = json.loads(json.dumps({"profile": profile_text(profile), **spec.identity()}))
    return identity


def _difference(former: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What differs, in words; "" for the same sweep."""
    if former.get("profile") != wanted["profile"]:
        return _profile_difference(str(former.get("profile")), wanted["profile"])
    names = [name for name in ("space", "grid", "objective") if former.get(name) != wanted.get(name)]
    return f"its {names[0]} differs" if names else ""


def _profile_difference(former: str, wanted: str) -> str:
    try:
        before, after = values(parse_profile(former)), values(parse_profile(wanted))
    except ConfigError:
        return "its profile cannot be read"
    changed = [f"{name} {before[name]!r} -> {after[name]!r}" for name in after if before[name] != after[name]]
    return changed[0] if changed else ""


def _parameter(fields: dict[str, Any]) -> Parameter:
    kinds: dict[str, type[Range] | type[Choices]] = {"Range": Range, "Choices": Choices}
    rest: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()}
    return kinds[rest.pop("kind")](**rest)
