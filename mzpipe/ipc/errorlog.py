"""Error log: stores each distinct error of a process once, with a count; readable after a crash.

    process i, place j:  | count | nbytes | utf-8 text ... 4080 bytes |

V1  A place is filled once: text, then nbytes, then its count goes from 0 to 1.
V2  One writer per process; a reader trusts a place whose count is not 0.
"""

import traceback
from dataclasses import dataclass

import numpy as np

from . import atomics
from .layout import ArrayLayout, Field

PLACES_PER_PROCESS = 8
_WORDS_PER_PLACE = 512
_TEXT_BYTES = (_WORDS_PER_PLACE - 2) * 8
_COUNT, _NBYTES, _TEXT = 0, 1, 2


@dataclass(frozen=True)
class LoggedError:
    """One distinct error and how often it happened."""

    text: str
    count: int


def errorlog_layout(num_processes: int) -> ArrayLayout:
    """Places of all processes of a run."""
    return ArrayLayout([Field("words", "int64", (num_processes, PLACES_PER_PROCESS, _WORDS_PER_PLACE))])


class ErrorLog:
    """One process's places."""

    def __init__(self, words_PJW: np.ndarray, process_index: int) -> None:
        self._places = words_PJW[process_index]

    def record(self, error: BaseException) -> None:
        """Stores the error with its traceback, or counts it when it is already there."""
        self.record_text("".join(traceback.format_exception(error)))

    def record_text(self, text: str) -> None:
        """Stores or counts a text as `record` does; once every place is taken, a new error counts on the last."""
        data = text.encode(errors="replace")[-_TEXT_BYTES:]
        for place in self._places:
            if place[_COUNT] == 0:
                _fill(place, data)
                return
            if _text(place) == data:
                break
        place[_COUNT] += 1

    def read(self) -> list[LoggedError]:
        """Everything recorded, oldest first."""
        # SYNC errorlog.record acquire: the place's text and length
        filled = [place for place in self._places if atomics.load_acquire(place, _COUNT) != 0]
        return [LoggedError(_text(place).decode(errors="replace"), int(place[_COUNT])) for place in filled]


def _fill(place: np.ndarray, data: bytes) -> None:
    place[_TEXT:].view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    place[_NBYTES] = len(data)
    # SYNC errorlog.record release: the place's text and length
    atomics.store_release(place, _COUNT, 1)


def _text(place: np.ndarray) -> bytes:
    return place[_TEXT:].view(np.uint8)[: int(place[_NBYTES])].tobytes()
