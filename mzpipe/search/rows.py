"""Row kernels: a node's unvisited edges as weights, and the best of them.

A full row has a place per action, in their order; a short row has labels (see tree).

Shape legend    A actions   L places of a row
Reads           policy_A: logits, or probabilities
Writes          the row (float32 weights); the labels of a short one (uint16 actions)
Preconditions   P1  the policy is finite; probabilities are at most LARGEST_PROBABILITY, a little above 1.
                P2  L is a multiple of BLOCK; a full row has at least A places.
Postconditions  I1  a full row holds at place a the weight of action a; padding is TAKEN.
                I2  a short row holds, in action order, the `keep` greatest weights, the lowest actions among equals,
                    and perhaps some that come after them.
                I3  best_place is the place of the greatest weight not TAKEN, the lowest place among equals.
Numerics        weights of logits are e^(logit - greatest logit), so the greatest is exactly 1; the mass of a row is the
                sum of its weights in fixed point. fastmath off.
Oracle          tests/naive/search.py

The loops run over whole blocks without a branch, so that the compiler turns them into vector instructions.
"""

import numpy as np

from .arithmetic import exp_nonpositive, from_order, order, to_fixed
from .compiled import kernel
from .faults import LARGEST_PROBABILITY
from .tree import BLOCK, ILLEGAL, NONE, TAKEN

_LOWEST = np.int32(-(2**31))
_ZERO, _NOTHING = np.float32(0.0), np.int64(0)
# No weight has so great an `order`: weights of logits are at most 1, and a positive float32's bits are its `order`.
_ZERO_ORDER, _ABOVE_ALL_ORDER = np.int32(0), np.int32(LARGEST_PROBABILITY + 1)
_FAR = np.int32(0x7FFFFFFF)
_COUNTS, _COUNTS_NOT = np.int32(1), np.int32(0)


@kernel
def copy_padded(policy_A, row_L, padding):
    """Fills a row with the policy, and its padding with `padding`."""
    num_actions = policy_A.shape[0]
    for action in range(num_actions):
        row_L[action] = policy_A[action]
    for place in range(num_actions, row_L.shape[0]):
        row_L[place] = padding


@kernel
def greatest(row_L):
    """The greatest value of the row."""
    highest = _LOWEST
    for place in range(row_L.shape[0] // BLOCK * BLOCK):
        highest = max(highest, order(row_L[place]))
    return from_order(highest)


@kernel
def exponentiate(row_L, highest):
    """Turns logits into weights: e^(logit - highest logit)."""
    for place in range(row_L.shape[0] // BLOCK * BLOCK):
        row_L[place] = exp_nonpositive(row_L[place] - highest)


@kernel
def exponentiate_legal(row_L, highest):
    """Does what `exponentiate` does, makes the places of illegal edges TAKEN, and returns the mass of the others."""
    total = np.int64(0)
    for place in range(row_L.shape[0] // BLOCK * BLOCK):
        is_legal = row_L[place] > ILLEGAL
        weight = exp_nonpositive(row_L[place] - highest)
        row_L[place] = weight if is_legal else TAKEN
        total += to_fixed(weight) if is_legal else _NOTHING
    return total


@kernel
def divide_by_greatest(row_L):
    """Turns probabilities into weights of which the greatest is 1."""
    highest = greatest(row_L)
    for place in range(row_L.shape[0] // BLOCK * BLOCK):
        row_L[place] = row_L[place] / highest


@kernel
def take_from(row_L, first):
    """Makes places from `first` on TAKEN."""
    for place in range(first, row_L.shape[0]):
        row_L[place] = TAKEN


@kernel
def mass(row_L):
    """Sum of a row's weights in fixed point, int64; no place may be TAKEN yet."""
    total = np.int64(0)
    for place in range(row_L.shape[0] // BLOCK * BLOCK):
        total += to_fixed(row_L[place])
    return total


@kernel
def first_place(row_L, weight):
    """The first place of the row that holds `weight`."""
    first = _FAR
    for place in range(row_L.shape[0] // BLOCK * BLOCK):
        first = min(first, np.int32(place) if row_L[place] == weight else _FAR)
    return first


@kernel
def best_place(row_L):
    """Place of the greatest weight, the lowest place among equals; NONE where every place is TAKEN."""
    weight = greatest(row_L)
    return np.uint16(first_place(row_L, weight)) if weight >= _ZERO else NONE


@kernel
def count_at_least(row_L, key):
    """How many places have a weight whose `order` is at least `key`."""
    weight = from_order(key)
    count = np.int32(0)
    for place in range(row_L.shape[0] // BLOCK * BLOCK):
        count += _COUNTS if row_L[place] >= weight else _COUNTS_NOT
    return count


@kernel
def keep_threshold(row_L, least, most):
    """An `order` that `least` to `most` places reach, by bisection over the bits of a weight. If equal weights leave
    none, it is the greatest that at least `least` places reach; it is 0 if there are fewer places."""
    low, high = _ZERO_ORDER, _ABOVE_ALL_ORDER
    while high - low > 1:
        middle = np.int32((low + high) // 2)
        count = count_at_least(row_L, middle)
        if count >= least:
            low = middle
            if count <= most:
                break
        else:
            high = middle
    return low


@kernel
def shorten(full_L, row_L, labels_L, keep):
    """Copies the `keep` greatest weights of a full row, and perhaps some more, to a short one, in action order.

    Every action is written at the next free place, and keeping it means advancing that place, so the row has one place
    more than it may keep.
    """
    room = row_L.shape[0] - 1
    key = keep_threshold(full_L, keep, room)
    place = np.int64(0)
    if count_at_least(full_L, key) <= room:
        for action in range(full_L.shape[0]):
            row_L[place] = full_L[action]
            labels_L[place] = action
            place += np.int64(order(full_L[action]) >= key)
    else:
        place = shorten_equals(full_L, row_L, labels_L, keep, key)
    take_from(row_L, place)


@kernel
def shorten_equals(full_L, row_L, labels_L, keep, key):
    """`shorten` for more weights equal to the least kept one than fit: it keeps the lowest actions among them.

    Never writes more than `keep` places, whatever the weights.
    """
    spare = keep - count_at_least(full_L, np.int32(key + 1))
    place = 0
    for action in range(full_L.shape[0]):
        if place == keep:
            break
        reached = order(full_L[action])
        if reached > key or (reached == key and spare > 0):
            spare -= reached == key
            row_L[place] = full_L[action]
            labels_L[place] = action
            place += 1
    return place
