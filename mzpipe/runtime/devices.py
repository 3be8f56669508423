"""What torch and CUDA raise when a device is full or lost, as a DeviceError that names the fields to lower.

The errors are told by their names and first words: programs without torch handle them too.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DeviceError
from ..ipc.roles import Role

# For each role with a device, the fields that make it take less of the device's memory.
LOWER = {
    Role.LEARNER: "learner.batch_size, learner.num_unroll_steps or the network's sizes",
    Role.INFERENCE: "topology.trees_per_lane, topology.lanes_per_actor or search.num_simulations",
}
LOWER_ANY = "learner.batch_size, topology.trees_per_lane or the network's sizes"
_FULL = ("OutOfMemoryError",)
_OF_DEVICES = ("AcceleratorError",)
_OF_RANKS = ("DistBackendError", "DistNetworkError", "DistStoreError")
# How torch's plain RuntimeErrors begin, and what a full device adds to them.
_BEGINNINGS = ("CUDA error", "CUDA driver error", "cuDNN error", "NCCL error", "CUDA out of memory")
_BUSY = "busy or unavailable"
_FULL_WORDS = ("out of memory", "ALLOC_FAILED")


def device_error(error: BaseException, lower: str = LOWER_ANY) -> DeviceError | None:
    """The DeviceError to end with, for an error of torch's that comes from a device; None for any other."""
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] == "torch"}
    text = str(error).strip()
    if not names.intersection(_FULL + _OF_DEVICES + _OF_RANKS) and not _is_plain(error, text):
        return None
    found = DeviceError(f"{_beginning(text)}: {_remedy(names, text, lower)}")
    found.__cause__ = error
    return found


@contextmanager
def device_errors(lower: str = LOWER_ANY) -> Iterator[None]:
    """Raises a DeviceError in place of an error that a device caused inside."""
    try:
        yield
    except RuntimeError as error:
        found = device_error(error, lower)
        if found is None:
            raise
        raise found from error


def _is_plain(error: BaseException, text: str) -> bool:
    return type(error) is RuntimeError and text.startswith(_BEGINNINGS)


def _beginning(text: str) -> str:
    """The first two sentences of the first line: torch goes on about its own settings."""
    return ". ".join(text.partition("\n")[0].split(". ")[:2]).rstrip(".")


def _remedy(names: set[str], text: str, lower: str) -> str:
    if names.intersection(_FULL) or any(words in text for words in _FULL_WORDS):
        return f"lower {lower}, or end what else uses the device (nvidia-smi)"
    if names.intersection(_OF_RANKS) or text.startswith("NCCL"):
        return (
            "the learner's ranks lost each other: see the other ranks' logs, or name fewer devices in learner.devices"
        )
    if _BUSY in text:
        return "another process has it for itself: end that, or change the device's compute mode (nvidia-smi -c 0)"
    return "the device failed: start again; if it comes back, name other devices in learner.devices, inference.devices"
