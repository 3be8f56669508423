"""The user's view of a run: the terminal view, the TensorBoard curves and the table of scores.

The supervisor builds a `Snapshot` from the shared counters every half second, and hands it to each of them.
"""

from ..runs.scores import Evaluation, ScoresFile, read_scores
from .snapshot import Snapshot, seconds_to_limit
from .tensorboard import TensorBoardWriter
from .view import LiveView, NotebookView, PlainView, SilentView, View, make_view

__all__ = [
    "Evaluation",
    "LiveView",
    "NotebookView",
    "PlainView",
    "ScoresFile",
    "SilentView",
    "Snapshot",
    "TensorBoardWriter",
    "View",
    "make_view",
    "read_scores",
    "seconds_to_limit",
]
