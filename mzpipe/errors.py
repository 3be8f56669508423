"""Every error mzpipe raises on purpose, in one tree.

    MzpipeError                  70  a bug or a fault in mzpipe
    +-- UsageError                2  the caller can fix it: bad profile, bad arguments
    |   +-- ConfigError           2  a profile's field; also a ValueError
    |   +-- OwnCodeError          2  a user's own class or program breaks its contract
    |   |   +-- GameError         2  a game breaks the protocol
    |   |   +-- OpponentError     2  an engine that plays evaluation games breaks its protocol
    |   +-- PlanError             2  the machine cannot hold the plan
    +-- SearchInputError         70  a bad array given to the search, as a network's NaN; also a ValueError
    +-- NotFiniteError           70  weights, or the optimiser's state, hold NaN or infinity
    +-- AlreadyRunningError       3  the run directory is live
    +-- InputOutputError         74  a file or segment cannot be read or written
    |   +-- CheckpointError      74  a checkpoint is missing, damaged, not finite or another model's
    |   +-- MessageError         74  a control message breaks the wire format
    +-- DeviceError              75  a device is missing, out of memory or lost

The number is the exit code of a program that ends with the error.
"""

from enum import IntEnum

_SIGNALS = 128


class ExitCode(IntEnum):
    """Exit codes of every mzpipe program."""

    FINISHED = 0
    USAGE = 2
    ALREADY_RUNNING = 3
    INTERNAL = 70
    INPUT_OUTPUT = 74
    DEVICE = 75
    # Ended by a signal: 128 plus its number, as in shells.
    HUNG_UP = 129
    INTERRUPTED = 130
    QUIT = 131
    TERMINATED = 143

    @classmethod
    def of_signal(cls, number: int) -> "ExitCode":
        """The code of a run that this signal ended."""
        return cls(_SIGNALS + number)

    @property
    def is_signal(self) -> bool:
        """Whether a signal ended the run."""
        return self > _SIGNALS


class MzpipeError(Exception):
    """Root of the tree."""

    exit_code: ExitCode = ExitCode.INTERNAL


class UsageError(MzpipeError):
    """A bad argument on the command line."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError, ValueError):
    """A profile field is unknown, of the wrong type or out of range."""


class OwnCodeError(UsageError):
    """A user's own class or program, which a profile names, breaks its contract."""


class GameError(OwnCodeError):
    """A game breaks the protocol."""


class OpponentError(OwnCodeError):
    """An engine that plays against the agent has crashed, is silent, or breaks its protocol."""


class PlanError(UsageError):
    """The machine has less memory, shared memory or devices than the plan needs."""


class SearchInputError(MzpipeError, ValueError):
    """An array given to the search has the wrong shape, kind or values; no user hands it one in mzpipe's programs."""


class NotFiniteError(MzpipeError):
    """Weights, or the optimiser's state, hold NaN or infinity."""


class AlreadyRunningError(MzpipeError):
    """Another supervisor holds the run directory."""

    exit_code = ExitCode.ALREADY_RUNNING


class InputOutputError(MzpipeError):
    """A file or segment cannot be read or written."""

    exit_code = ExitCode.INPUT_OUTPUT


class CheckpointError(InputOutputError):
    """A checkpoint is missing, damaged, not finite, or belongs to another model."""


class MessageError(InputOutputError):
    """A control message is too large, malformed, or of an unknown kind."""


class DeviceError(MzpipeError):
    """A device is missing or cannot be used."""

    exit_code = ExitCode.DEVICE


class MzpipeWarning(UserWarning):
    """What a caller may want to know; a command shows it once, in one line."""


class DeviceWarning(MzpipeWarning):
    """A device is used in a slower way than it should be; results are the same."""


class GameWarning(MzpipeWarning):
    """A game does what may not be meant."""
