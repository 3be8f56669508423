"""Checks of the network's outputs, in one pass over their bits, before anything is written.

Shape legend    B trees   A actions
Reads           reward_B, value_B, policy_BA, legal_actions_BA
Writes          nothing
Postconditions  I1  the fault returned is that of the first bad tree: its reward before its value before its policy.
Numerics        a float32 is finite if its bits without the sign are below those of infinity; a probability is in [0, 1]
                if its bits are at most those of LARGEST_PROBABILITY. The checks are integer maxima, which the compiler
                vectorises. The first probability of a row usually shows that the row has one above 0.
"""

import numpy as np

from .compiled import kernel

# The faults that a check returns, together with the tree's index.
NO_FAULT = 0
BAD_REWARD = 1
BAD_VALUE = 2
BAD_LOGITS = 3
BAD_PROBABILITIES = 4
NO_LEGAL_ACTION = 5
NO_LEGAL_PROBABILITY = 6
BAD_SHAPE = 7
NO_PROBABILITY = 8

_SIGNLESS = np.int32(0x7FFFFFFF)
_LARGEST_FINITE = np.int32(0x7F7FFFFF)
# Rounding of a softmax may leave a probability of 1 + 2^-13 at most.
LARGEST_PROBABILITY = np.int32(0x3F800400)
# Smallest normal float32: a lower probability counts as 0 where a node needs one above 0.
_LEAST_PROBABILITY = np.float32(1.1754944e-38)


@kernel
def worst_bits(values):
    """Greatest bits, without signs, among the float32 values of a flat array."""
    bits = values.view(np.int32)
    worst = np.int32(0)
    for place in range(bits.shape[0]):
        worst = max(worst, np.int32(bits[place] & _SIGNLESS))
    return worst


@kernel
def worst_probability(values):
    """Greatest unsigned bits among the float32 values of a flat array; any negative number is above all others."""
    bits = values.view(np.uint32)
    worst = np.uint32(0)
    for place in range(bits.shape[0]):
        worst = max(worst, bits[place])
    return worst


@kernel
def is_bad_policy(policy_A, from_logits):
    """Whether one tree's policy cannot be used."""
    if from_logits:
        return worst_bits(policy_A) > _LARGEST_FINITE
    return worst_probability(policy_A) > LARGEST_PROBABILITY


@kernel
def lacks_probability(policy_A):
    """Whether one tree's probabilities are all zero; usually the first one decides."""
    action = 0
    while action < policy_A.shape[0] and policy_A[action] < _LEAST_PROBABILITY:
        action += 1
    return action == policy_A.shape[0]


@kernel
def any_lacks_probability(policy_BA):
    """Whether any tree's probabilities are all zero."""
    any_lacks = False
    for b in range(policy_BA.shape[0]):
        any_lacks |= lacks_probability(policy_BA[b])
    return any_lacks


@kernel
def find_fault(reward_B, value_B, policy_BA, header):
    """The fault of the first tree whose network outputs cannot be used, and that tree."""
    from_logits, batch_size = header.from_logits, header.batch_size
    if policy_BA.shape[0] != batch_size or policy_BA.shape[1] != header.num_actions:
        return BAD_SHAPE, 0
    if reward_B.shape[0] != batch_size or value_B.shape[0] != batch_size:
        return BAD_SHAPE, 0
    return first_fault(reward_B, value_B, policy_BA, from_logits)


@kernel
def first_fault(reward_B, value_B, policy_BA, from_logits):
    """`find_fault` for any number of rows."""
    bad = is_bad_policy(policy_BA.reshape(policy_BA.size), from_logits)
    bad = bad or (not from_logits and any_lacks_probability(policy_BA))
    if not bad and max(worst_bits(reward_B), worst_bits(value_B)) <= _LARGEST_FINITE:
        return NO_FAULT, 0
    for b in range(value_B.shape[0]):
        if not np.isfinite(reward_B[b]):
            return BAD_REWARD, b
        if not np.isfinite(value_B[b]):
            return BAD_VALUE, b
        if is_bad_policy(policy_BA[b], from_logits):
            return BAD_LOGITS if from_logits else BAD_PROBABILITIES, b
        if not from_logits and lacks_probability(policy_BA[b]):
            return NO_PROBABILITY, b
    return NO_FAULT, 0


@kernel
def find_root_fault(value_B, policy_BA, legal_actions_BA, header):
    """The fault of the first tree that cannot be started, and that tree."""
    fault, bad_tree = find_fault(value_B, value_B, policy_BA, header)
    if fault == BAD_REWARD:
        fault = BAD_VALUE
    for b in range(bad_tree if fault else value_B.shape[0]):
        any_legal, any_probability = False, False
        for action in range(policy_BA.shape[1]):
            any_legal |= legal_actions_BA[b, action]
            any_probability |= legal_actions_BA[b, action] and policy_BA[b, action] >= _LEAST_PROBABILITY
        if not any_legal:
            return NO_LEGAL_ACTION, b
        if not (header.from_logits or any_probability):
            return NO_LEGAL_PROBABILITY, b
    return fault, bad_tree
