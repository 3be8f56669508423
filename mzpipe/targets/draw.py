"""Random legal actions from a key: no state, so any worker draws the same in any order."""

from numba import njit

_WORD = 0xFFFFFFFF


@njit(cache=True, nogil=True, fastmath=False)
def _mix(word: int) -> int:
    """A permutation of 32-bit words; both multipliers are below 2^31, so products stay within int64."""
    word = ((word ^ (word >> 16)) * 0x21F0AAAD) & _WORD
    word = ((word ^ (word >> 15)) * 0x735A2D97) & _WORD
    return word ^ (word >> 15)


@njit(cache=True, nogil=True, fastmath=False)
def random_action(key: int, counter: int, num_actions: int) -> int:
    """An action id in 0 .. num_actions - 1, uniform over counters; key and counter are int64."""
    key = int(key)
    word = _mix(key & _WORD)
    word = _mix(word ^ ((key >> 32) & _WORD))
    word = _mix(word ^ (int(counter) & _WORD))
    return (word * num_actions) >> 32
