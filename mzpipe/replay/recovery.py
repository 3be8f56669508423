"""Recovery: what a replay server begins with: a journal to write, and what was read from one."""

from pathlib import Path
from typing import NamedTuple

from ..config import ReplayConfig
from ..errors import InputOutputError
from ..ipc.shape import PlaneShape
from .journal import Journal, JournalContents, JournalLayout, has_journal, read_journal
from .sizes import journal_segment_bytes


class Recovery(NamedTuple):
    """The journal to write (None: none is wanted), what there is to restore, and lines for people."""

    journal: Journal | None
    contents: JournalContents | None
    lines: list[str]


def recover(replay: ReplayConfig, shape: PlaneShape, directory: Path) -> Recovery:
    """Reads the journal that this run, or the run it learns from, has left.

    Raises InputOutputError where one is damaged or another game's. A torn end is cut off this run's own files.
    """
    layout = JournalLayout(shape.frame_shape, shape.frame_dtype, shape.num_actions)
    if replay.source:
        source = Path(replay.source) / directory.name
        if not has_journal(source):
            raise InputOutputError(f"replay.from={replay.source!r}: {source} holds no journal to train on")
        contents = read_journal(source, layout)
        return Recovery(None, contents, [f"training on {source}", *contents.notes])
    former = read_journal(directory, layout) if has_journal(directory) else None
    if not replay.journal:
        ignored = [f"{directory}: not restored and not gone on with: replay.journal=false"] if former else []
        return Recovery(None, None, ignored)
    if former is not None:
        former.repair()
    journal = Journal(directory, layout, segment_bytes=journal_segment_bytes(replay.capacity_bytes), former=former)
    return Recovery(journal, former, former.notes if former else [])
