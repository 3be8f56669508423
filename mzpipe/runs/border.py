"""Borders: the moments of a serial run that it can be resumed at bit for bit.

At every checkpoint a serial run ends its agents as if it stopped, and begins them
anew from what is on disk, as a resume would: games end there unfinished, rings are
empty. So a run that goes on and one that is killed and resumed do the same things
from the same files: the checkpoint, and the journal as it stood. The latter is
kept as hard links, because what is played next is journaled too.

    RUN/border/border.json, and every file of RUN/journal/ as it was

Journal files are replaced whole, or never written again once the journal is
closed, so a link keeps what the file was.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from ..errors import InputOutputError
from .directory import RunDirectory
from .files import sync_directory, write_synced

_RECORD = "border.json"


class Border(NamedTuple):
    """Where a serial run can be resumed exactly."""

    learner_steps: int
    env_steps: int


def read_border(run: RunDirectory) -> Border | None:
    """The run's border, or None."""
    try:
        return Border(**json.loads((run.border / _RECORD).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InputOutputError(
            f"{run.border / _RECORD}: cannot be read: {error}: remove {run.border} to resume, though not exactly"
        ) from None


def keep_border(run: RunDirectory, border: Border) -> None:
    """Makes this moment the border; the journal must be closed."""
    draft = run.border.with_name(".border.new")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        _link_files(run.journal, draft)
        write_synced(draft / _RECORD, json.dumps(border._asdict()).encode())
        _replace(draft, run.border)
    except OSError as error:
        raise InputOutputError(f"{run.border}: cannot be kept: {error.strerror}") from error


def return_to_border(run: RunDirectory) -> None:
    """Puts the journal back as it was at the border."""
    draft = run.journal.with_name(".journal.new")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        _link_files(run.border, draft)
        _replace(draft, run.journal)
    except OSError as error:
        raise InputOutputError(f"{run.journal}: cannot be put back: {error.strerror}") from error


def forget_border(run: RunDirectory) -> None:
    """For a session that borders mean nothing to: what it does cannot be repeated."""
    shutil.rmtree(run.border, ignore_errors=True)


def _link_files(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.name != _RECORD and not path.name.startswith("."):
            _link(path, target / path.name)


def _link(source: Path, target: Path) -> None:
    """A second name, or a copy where the file system has none."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _replace(draft: Path, final: Path) -> None:
    """The draft under the final name; a crash in between leaves the former directory as .NAME.old beside it."""
    sync_directory(draft)
    former = final.with_name(f".{final.name}.old")
    shutil.rmtree(former, ignore_errors=True)
    if final.exists():
        os.rename(final, former)
    os.rename(draft, final)
    sync_directory(final.parent)
    shutil.rmtree(former, ignore_errors=True)
