"""The root of a Gumbel search: its actions ranked by noise and prior, and sequential halving among them.

Gumbel MuZero (Danihelka et al. 2022, section 4): the m legal actions of the greatest g + ln pi are considered; they are
visited in turn, and each phase of sequential halving keeps the better half (see gumbel for "better").

Shape legend    A actions   M considered root actions   K entries of the table of sequences
Reads           policy_A, legal_A, noise_A
Writes          root_logit_A, root_score_A, considered_M; num_considered and the best unvisited edge of the root
Preconditions   P1  expand_root has written root_prior_A.
Postconditions  I1  considered_M holds the m + 1 legal actions of the greatest score, best first, the lowest actions
                    among equals, then NONE.
                I2  the root's children are nodes 1, 2, ... in the order of considered_M.
Numerics        float32; scores of roots given as probabilities take the platform's logarithm. Logits count from the
                greatest legal one, so that a common offset costs neither noise nor sigma their digits; those lower by
                more than the greatest float32 count as that. fastmath off.
Oracle          tests/naive/search.py
"""

import math

import numpy as np

from .compiled import kernel
from .tree import NONE, ROOT, Tree

_ZERO, _LOWEST = np.float32(0.0), np.float32(-np.inf)
# The least logit of a legal action: minus infinity stands for an illegal one.
_LEAST_LOGIT = np.float32(-3.4028235e38)
# Smallest normal float32; replaces a probability of zero.
_TINY = np.float32(1.1754944e-38)


def halving_sequence(num_considered: int, num_simulations: int) -> np.ndarray:
    """uint16 [num_simulations]: visits an action must have to be considered at each simulation.

    Sequential halving (Karnin et al. 2013): ceil(log2 m) phases share the simulations evenly, and each halves the
    actions. Because actions are visited in turn, naming the visit count names the actions still considered.
    """
    if num_considered <= 1:
        return np.arange(num_simulations, dtype=np.uint16)
    phases = math.ceil(math.log2(num_considered))
    sequence: list[int] = []
    visits, left = 0, num_considered
    while len(sequence) < num_simulations:
        rounds = max(1, num_simulations // (phases * left))
        for _ in range(rounds):
            sequence += [visits] * left
            visits += 1
        left = max(2, left // 2)
    return np.array(sequence[:num_simulations], np.uint16)


def halving_table(max_considered: int, num_simulations: int) -> np.ndarray:
    """halving_K: the sequences for 0 .. max_considered actions, one after the other; empty where none is considered."""
    if max_considered == 0:
        return np.zeros(0, np.uint16)
    return np.concatenate([halving_sequence(m, num_simulations) for m in range(max_considered + 1)])


@kernel
def write_root_logits(tree: Tree, policy_A, legal_A, from_logits):
    """root_logit_A: ln prior where legal, the greatest being 0; minus infinity elsewhere."""
    highest = _LOWEST
    for action in range(legal_A.shape[0]):
        if legal_A[action]:
            logit = policy_A[action]
            if not from_logits:
                logit = np.float32(math.log(np.float64(max(logit, _TINY))))
            tree.root_logit_A[action] = logit
            highest = max(highest, logit)
    for action in range(legal_A.shape[0]):
        if legal_A[action]:
            tree.root_logit_A[action] = max(tree.root_logit_A[action] - highest, _LEAST_LOGIT)
        else:
            tree.root_logit_A[action] = _LOWEST


@kernel
def consider(tree: Tree, capacity):
    """Writes the `capacity` legal actions of the greatest score to considered_M, best first, then NONE."""
    count = 0
    for action in range(tree.root_score_A.shape[0]):
        score = tree.root_score_A[action]
        if score == _LOWEST:
            continue
        place = count
        while place > 0 and score > tree.root_score_A[tree.considered_M[place - 1]]:
            place -= 1
        if place == capacity:
            continue
        count = min(count + 1, capacity)
        for later in range(count - 1, place, -1):
            tree.considered_M[later] = tree.considered_M[later - 1]
        tree.considered_M[place] = action
    tree.considered_M[count] = NONE
    return count


@kernel
def name_considered(tree: Tree, place):
    """Makes the action at `place` of considered_M the root's best unvisited edge."""
    root = tree.nodes_N[ROOT]
    action = tree.considered_M[place]
    root.best_place = place
    root.best_action = action
    root.best_prior = _ZERO if action == NONE else tree.root_prior_A[action]


@kernel
def start_root(tree: Tree, noise_A, max_considered):
    """Ranks the root's actions by score and noise, and names the first to visit. It ranks one more than is considered:
    the mixed value takes part in the scaling of q only if a legal action stays unvisited."""
    for action in range(noise_A.shape[0]):
        tree.root_score_A[action] = tree.root_logit_A[action] + noise_A[action]
    tree.nodes_N[ROOT].num_considered = min(consider(tree, max_considered + 1), max_considered)
    name_considered(tree, 0)
