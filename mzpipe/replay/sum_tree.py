"""SumTree: draws places in proportion to their weights, and changes weights, in logarithmic time.

    level 0   | sum sum ... |                     up to 8 numbers
    level 1   | 8 children of each number above |
    ...
    last      | the weights of the places |       every level padded to whole groups of 8

Eight float64 are one cache line, so a draw costs one miss per level. An update
sums each group anew, so rounding errors never accumulate.

V1  A number of level l is the sum of its group of level l + 1, summed left to right.
V2  Padding is 0.

Shape legend    T numbers of all levels   L levels   N places asked for
Preconditions   P1  weights are finite and not negative.
                P2  a draw needs a total above 0.
Postconditions  I1  a place of weight 0 is never drawn.
Oracle          tests/naive/sum_tree.py        Benchmark  mzpipe bench replay
"""

import numpy as np
from numba import njit

_FAN_OUT = 8
# numpy aligns to 16 bytes only, and each group must lie in one cache line.
_LINE_BYTES = 64


class SumTree:
    """Weights of the places 0 .. num_places - 1, all 0 at first."""

    def __init__(self, num_places: int) -> None:
        sizes = _level_sizes(num_places)
        self._start_L = np.array([sum(sizes[:level]) for level in range(len(sizes))], np.int64)
        self._number_T = _aligned_zeros(sum(sizes))

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self._number_T[:_FAN_OUT].sum())

    @property
    def nbytes(self) -> int:
        """Bytes of all levels."""
        return self._number_T.nbytes

    def set(self, place_N: np.ndarray, weight_N: np.ndarray) -> None:
        """Sets the weights of places (int64, float64); if a place is named twice, its last weight counts."""
        set_kernel(self._number_T, self._start_L, place_N, weight_N)

    def get(self, place_N: np.ndarray) -> np.ndarray:
        """Weights of places."""
        return self._number_T[self._start_L[-1] + place_N]

    def draw(self, uniform_N: np.ndarray) -> np.ndarray:
        """Draws places (int64), one for each number in [0, 1): place p with probability weight_p / total."""
        place_N = np.empty(len(uniform_N), np.int64)
        draw_kernel(self._number_T, self._start_L, uniform_N, place_N)
        return place_N


def sum_tree_bytes(num_places: int) -> int:
    """Bytes of a tree over `num_places` places."""
    return 8 * sum(_level_sizes(num_places))


def _level_sizes(num_places: int) -> list[int]:
    sizes = [-(-num_places // _FAN_OUT) * _FAN_OUT]
    while sizes[0] > _FAN_OUT:
        sizes.insert(0, -(-(sizes[0] // _FAN_OUT) // _FAN_OUT) * _FAN_OUT)
    return sizes


def _aligned_zeros(count: int) -> np.ndarray:
    raw = np.zeros(count * 8 + _LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % _LINE_BYTES
    return raw[start : start + count * 8].view(np.float64)


@njit(cache=True, nogil=True)
def set_kernel(number_T, start_L, place_N, weight_N):
    """Writes weights, then sums their groups anew, level by level, so no item waits for the cache misses of another."""
    node_N = place_N.copy()
    for item in range(place_N.shape[0]):
        number_T[start_L[-1] + place_N[item]] = weight_N[item]
    for level in range(start_L.shape[0] - 2, -1, -1):
        before = -1
        for item in range(node_N.shape[0]):
            node_N[item] //= _FAN_OUT
            node = node_N[item]
            if node == before:
                continue  # neighbours, such as a new trajectory's, share their groups
            before = node
            first = start_L[level + 1] + node * _FAN_OUT
            total = 0.0
            for child in range(first, first + _FAN_OUT):
                total += number_T[child]
            number_T[start_L[level] + node] = total


@njit(cache=True, nogil=True)
def draw_kernel(number_T, start_L, uniform_N, place_N):
    """Descends from level 0; in each group it takes the number on which the rest of the target falls."""
    total = 0.0
    for number in range(_FAN_OUT):
        total += number_T[number]
    for item in range(uniform_N.shape[0]):
        target, place = uniform_N[item] * total, 0
        for level in range(start_L.shape[0]):
            first = start_L[level] + place * _FAN_OUT
            chosen = -1
            for child in range(_FAN_OUT):
                weight = number_T[first + child]
                if weight > 0.0:
                    chosen = child  # stays at the last one with weight if rounding carries the target past the group
                    if target < weight:
                        break
                    target -= weight
            place = place * _FAN_OUT + chosen
        place_N[item] = place
