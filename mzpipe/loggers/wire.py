"""Messages between a run and the process of one of its loggers, over a socket that keeps each of them whole.

run -> logger   msgpack: [OPEN, run, log file], [LOG, values, env_steps, learner_steps, time], [CLOSE]
logger -> run   text: a word of Said, perhaps with an explanation
"""

from enum import StrEnum

OPEN, LOG, CLOSE = "open", "log", "close"
# More than any message; a logger's words are cut to fit theirs.
MAX_BYTES, MAX_SAID_BYTES = 1 << 20, 2000


class Said(StrEnum):
    """What a logger's process says."""

    # The logger is made and can be opened.
    READY = "ready"
    # One point is logged.
    LOGGED = "logged"
    # A call raised, with the reason; before READY: it cannot be made.
    FAILED = "failed"
    # The logger is closed, or could not be opened: the process ends.
    DONE = "done"
