"""The replay server's journal: has every trajectory on disk within a second, and restores the table after a kill.

    RUN/journal/manifest.json           layout and segments, in order       manifest.py
                segment-00000001.mzj    append-only records                 format.py
                state.mzs               the rest of what a table needs      state.py

`Journal` writes (writer, thread, segment_log, open_segment); `read_journal` reads (reader, scan, contents).
To resume after a stop: call read_journal(), fill the table from contents.trajectories(), call contents.repair(), then
Journal(..., former=contents).
"""

from .contents import JournalContents
from .format import JournalLayout, StoredTrajectory, journal_bytes_bound
from .reader import has_journal, has_records, read_journal
from .scan import START_ANEW
from .state import STATE, JournalState
from .writer import Journal

__all__ = [
    "START_ANEW",
    "STATE",
    "Journal",
    "JournalContents",
    "JournalLayout",
    "JournalState",
    "StoredTrajectory",
    "has_journal",
    "has_records",
    "journal_bytes_bound",
    "read_journal",
]
