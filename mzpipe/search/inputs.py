"""Checks of what callers hand to the search, with messages that name the argument and the tree."""

from typing import NoReturn

import numpy as np

from ..errors import SearchInputError
from .expand import BAD_LOGITS, BAD_REWARD, BAD_VALUE, NO_LEGAL_ACTION

_FAULTS = {
    BAD_REWARD: "reward_B[{}] is NaN or infinite: network outputs must be finite",
    BAD_VALUE: "value_B[{}] is NaN or infinite: network outputs must be finite",
    BAD_LOGITS: "policy_logits_BA[{}] holds NaN or infinity: network outputs must be finite",
    NO_LEGAL_ACTION: "legal_actions_BA[{}] has no legal action: a tree needs at least one",
}


def checked(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """The array in C order, copied only where it is not; SearchInputError for another shape or kind."""
    if not isinstance(array, np.ndarray):
        raise SearchInputError(f"{name} must be a numpy array, not {type(array).__name__}")
    if array.shape != shape or array.dtype != dtype:
        raise SearchInputError(
            f"{name} is {array.dtype} of shape {array.shape}: it must be {np.dtype(dtype)} of shape {shape}"
        )
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def checked_out(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An array the search may write into; SearchInputError where writing in place is impossible."""
    if checked(name, array, shape, dtype) is not array or not array.flags.writeable:
        raise SearchInputError(f"{name} must be contiguous and writeable: the search writes into it")
    return array


def raise_fault(fault: int, tree: int) -> NoReturn:
    """SearchInputError for the fault that a kernel found in tree `tree`."""
    raise SearchInputError(_FAULTS[fault].format(tree))


def checked_count(name: str, value: int, lowest: int) -> int:
    """The number itself; SearchInputError where it is below `lowest`."""
    if value < lowest:
        raise SearchInputError(f"{name}={value} must be at least {lowest}")
    return value
