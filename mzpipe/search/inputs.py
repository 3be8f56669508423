"""Checks of the arguments of the search, with messages that name the argument and the tree."""

from typing import NoReturn

import numpy as np

from ..errors import SearchInputError
from .faults import (
    BAD_LOGITS,
    BAD_PROBABILITIES,
    BAD_REWARD,
    BAD_VALUE,
    NO_FAULT,
    NO_LEGAL_ACTION,
    NO_LEGAL_PROBABILITY,
    NO_PROBABILITY,
)

_FAULTS = {
    BAD_REWARD: "reward_B[{}] is NaN or infinite: network outputs must be finite",
    BAD_VALUE: "value_B[{}] is NaN or infinite: network outputs must be finite",
    BAD_LOGITS: "policy_logits_BA[{}] holds NaN or infinity: network outputs must be finite",
    BAD_PROBABILITIES: "policy_BA[{}] holds numbers outside of [0, 1]: this search takes probabilities, not logits",
    NO_LEGAL_ACTION: "legal_actions_BA[{}] has no legal action: a tree needs at least one",
    NO_LEGAL_PROBABILITY: "policy_BA[{}] gives no legal action a probability above 0",
    NO_PROBABILITY: "policy_BA[{}] gives no action a probability above 0",
}


def checked(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """The array in the form that the kernels need (C order, aligned, writeable), copied only if it is in another.

    Raises SearchInputError for another shape or kind.
    """
    if not isinstance(array, np.ndarray):
        raise SearchInputError(f"{name} must be a numpy array, not {type(array).__name__}")
    if array.shape != shape or array.dtype != dtype:
        raise SearchInputError(
            f"{name} is {array.dtype} of shape {array.shape}: it must be {np.dtype(dtype)} of shape {shape}"
        )
    return array if array.flags.carray else array.copy()


def checked_out(name: str, array: np.ndarray | None, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An array for the search to write into, a new one for None; raises SearchInputError if it cannot be written to."""
    if array is None:
        return np.zeros(shape, dtype)
    if checked(name, array, shape, dtype) is not array:
        raise SearchInputError(f"{name} must be contiguous and writeable: the search writes into it")
    return array


def refuse_shared(first_name: str, second_name: str, first: np.ndarray, second: np.ndarray) -> None:
    """Raises SearchInputError if writing into one array would change the other."""
    if np.shares_memory(first, second):
        raise SearchInputError(f"{first_name} and {second_name} share memory: each needs an array of its own")


def raise_fault(fault: int, tree: int) -> NoReturn:
    """Raises SearchInputError for the fault that a kernel found in tree `tree`."""
    raise SearchInputError(_FAULTS[fault].format(tree))


def raise_any(fault: int, tree: int) -> None:
    """Raises SearchInputError for the fault that a kernel found, if it found one."""
    if fault != NO_FAULT:
        raise_fault(fault, tree)


def checked_count(name: str, value: int, lowest: int, highest: int | None = None) -> int:
    """The number itself; raises SearchInputError if it is below `lowest` or above `highest`."""
    if value < lowest:
        raise SearchInputError(f"{name}={value} must be at least {lowest}")
    if highest is not None and value > highest:
        raise SearchInputError(f"{name}={value} must be at most {highest}")
    return value
