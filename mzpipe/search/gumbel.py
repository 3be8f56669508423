"""Selection by Gumbel MuZero (Danihelka et al. 2022): sequential halving at the root, a fixed rule below it.

First of the four search kernels (select, expand, backup, decide), an alternative to puct. With g the root's Gumbel
noise, N the visits of an edge and pi the prior:

    completed q    q of a visited edge; for all others the mixed value (appendix D, equation 33)
                   v_mix = (v + n * sum_visited pi q / sum_visited pi) / (n + 1),  n = sum of N, v the network's value
    sigma(q)       (maxvisit_init + max N) * value_scale * q, where q is first scaled to [0, 1] over the node's
                   completed q, or over search.min_q_spread if that is more, if rescale_values is set (equation 8)
    root           the m legal actions of the greatest g + ln pi are visited first; then, of those with the number of
                   visits that sequential halving asks for, the one with the greatest g + ln pi + sigma(q)
    below it       argmax of pi'(a) - N(a) / (1 + n),  pi' = softmax(ln pi + sigma(completed q))     (equation 14)
    policy target  pi' at the root, over the legal actions
    action         the greatest g + ln pi + sigma(q) among the most visited root actions

The unvisited edges of a node share one completed q, so the one with the greatest prior comes first, and their part of
the softmax is their mass. Selection therefore reads only the visited edges and the best unvisited one. Illegal actions
are excluded everywhere (mctx counts them among the unvisited).

Shape legend    A actions   N nodes per tree   L children and more
Reads           edges_N, nodes_N, root_logit_A, root_score_A, halving_K
Writes          parent of node k; the policy target
Preconditions   P1  1 <= k < N and nodes 0 .. k - 1 of the tree are expanded.
Postconditions  I1  node k's parent has an unvisited edge, and it is the best there is.
                I2  every edge on the way has the highest score of its node; ties go to the lowest action.
                I3  the first m simulations visit the m considered actions once each, best first.
Numerics        float32, sums over children newest first, at the root oldest first; 1 / (n + 1) is taken once. The
                policy target takes one exponential of ln pi + sigma per action and sums in float64, in the order of
                actions; in it a weight below e^-87 of the greatest counts as that. Below the root a node keeps e^(logit
                - greatest logit) instead of logits, so ln pi and sigma are cut there one by one, each at 87 below the
                node's greatest, and priors at 1.2e-38; the unvisited edges together count at least as much as the best
                of them. fastmath off.
Oracle          tests/naive/search.py
"""

import numpy as np

from .arithmetic import FIXED_ONE, exp_nonpositive
from .compiled import expression, kernel
from .tree import NONE, ROOT, Tree

_ONE, _ZERO, _LOWEST = np.float32(1.0), np.float32(0.0), np.float32(-np.inf)
# Smallest normal float32: keeps a softmax from being empty.
_TINY = np.float32(1.1754944e-38)


@expression
def take_in(edge, sums):
    """Adds one visited edge to (sum of priors, sum of prior * q, most visits, least q, greatest q)."""
    prior, q = max(edge.prior, _TINY), edge.q
    return sums[0] + prior, sums[1] + prior * q, max(sums[2], edge.visits), min(sums[3], q), max(sums[4], q)


@kernel
def sums_below(edges_N, first_child):
    """The summary that `take_in` makes of a node's visited edges, newest first."""
    sums = (_ZERO, _ZERO, np.uint16(0), -_LOWEST, _LOWEST)
    child = first_child
    while child != NONE:
        sums = take_in(edges_N[child], sums)
        child = edges_N[child].next_sibling
    return sums


@kernel
def sums_of_root(edges_N, num_children):
    """The summary that `take_in` makes of the root's visited edges, oldest first: they are nodes 1, 2, and so on."""
    sums = (_ZERO, _ZERO, np.uint16(0), -_LOWEST, _LOWEST)
    for child in range(1, num_children + 1):
        sums = take_in(edges_N[child], sums)
    return sums


@kernel
def completion(sums, node, per_visit, header):
    """(mixed, top, slope): the completed q of unvisited edges, the greatest completed q, and sigma(q) - sigma(top) =
    slope * (q - top)."""
    sum_prior, sum_q, most, low, high = sums
    mixed = node.raw_value * per_visit + (_ONE - per_visit) * (sum_q / sum_prior)
    if node.best_action != NONE:
        low, high = min(low, mixed), max(high, mixed)
    slope = (header.maxvisit_init + np.float32(most)) * header.value_scale
    if header.rescale_values:
        slope = slope / max(high - low, header.min_q_spread)
    return mixed, high, slope


@kernel
def root_completion(edges_N, root, header):
    """`completion` of the root, which has best_place children: they come from considered_M in order."""
    per_visit = _ONE / np.float32(edges_N[ROOT].visits)
    return completion(sums_of_root(edges_N, root.best_place), root, per_visit, header)


@kernel
def improved(prior, q, top, slope):
    """A visited edge's weight in pi' below the root, up to a factor common to the node."""
    return max(prior, _TINY) * exp_nonpositive(slope * (q - top))


@kernel
def unvisited_prior(node):
    """Probability of a node's unvisited edges together: at least that of the best one, even if its weight is below the
    unit of the sum."""
    prior, best = np.float32(node.unvisited_mass) / FIXED_ONE * node.row_scale, node.best_prior
    return prior if prior > best else best


@kernel
def select_below(edges_N, node, parent, weight_L, header):
    """The child that the rule below the root picks, or NONE for the best unvisited edge.

    weight_L is room for the weights of the children in pi'.
    """
    per_visit = _ONE / np.float32(parent.visits)
    mixed, top, slope = completion(sums_below(edges_N, parent.first_child), node, per_visit, header)
    shrink = exp_nonpositive(slope * (mixed - top)) if node.best_action != NONE else _ZERO
    total = unvisited_prior(node) * shrink
    place, child = 0, parent.first_child
    while child != NONE:
        edge = edges_N[child]
        weight_L[place] = improved(edge.prior, edge.q, top, slope)
        total += weight_L[place]
        place, child = place + 1, edge.next_sibling
    return most_behind(edges_N, node, parent.first_child, weight_L, shrink, _ONE / total, per_visit)


@kernel
def most_behind(edges_N, node, first_child, weight_L, shrink, per_weight, per_visit):
    """Returns the edge whose visits lag pi' the most: argmax of weight * per_weight - N * per_visit."""
    best, best_action, best_score = NONE, node.best_action, node.best_prior * shrink * per_weight
    place, child = 0, first_child
    if best_action == NONE:
        best, best_action, best_score = child, edges_N[child].action, _LOWEST
    while child != NONE:
        edge = edges_N[child]
        score = weight_L[place] * per_weight - np.float32(edge.visits) * per_visit
        if score > best_score or (score == best_score and edge.action < best_action):
            best, best_action, best_score = child, edge.action, score
        place, child = place + 1, edge.next_sibling
    return best


@kernel
def best_of_equals(edges_N, root, root_score_A, header, visits):
    """The root child of the greatest noise + ln prior + sigma(q) among those with `visits` visits."""
    _, top, slope = root_completion(edges_N, root, header)
    best, best_action, best_score = np.uint16(1), NONE, _LOWEST
    for child in range(1, root.best_place + 1):
        edge = edges_N[child]
        if edge.visits == visits:
            score = root_score_A[edge.action] + slope * (edge.q - top)
            if score > best_score or best_action == NONE or (score == best_score and edge.action < best_action):
                best, best_action, best_score = np.uint16(child), edge.action, score
    return best


@kernel
def considered_child(edges_N, nodes_N, root_score_A, halving_K, header, k):
    """The root's child that sequential halving visits at simulation `k`, or NONE for the next unvisited action."""
    root = nodes_N[ROOT]
    visits = halving_K[root.num_considered * (header.num_nodes - 1) + k - 1]
    return best_of_equals(edges_N, root, root_score_A, header, visits) if visits > 0 else NONE


@kernel
def select_gumbel(edges_N, nodes_N, root_score_A, halving_K, weight_L, header, k):
    """Chooses the node whose best unvisited edge simulation `k` expands."""
    index, child = ROOT, considered_child(edges_N, nodes_N, root_score_A, halving_K, header, k)
    while child != NONE:
        index = child
        if edges_N[index].first_child == NONE:
            break
        child = select_below(edges_N, nodes_N[index], edges_N[index], weight_L, header)
    nodes_N[k].parent = index


@kernel
def write_policy_target(tree: Tree, header, policy_A):
    """pi' at the root over its legal actions: the policy target."""
    root = tree.nodes_N[ROOT]
    mixed, top, slope = root_completion(tree.edges_N, root, header)
    for action in range(policy_A.shape[0]):
        policy_A[action] = tree.root_logit_A[action] + slope * (mixed - top)
    for child in range(1, root.best_place + 1):
        edge = tree.edges_N[child]
        policy_A[edge.action] = tree.root_logit_A[edge.action] + slope * (edge.q - top)
    softmax_legal(policy_A, tree.root_logit_A)


@kernel
def softmax_legal(policy_A, logit_A):
    """Turns the logits in policy_A into probabilities; 0 where logit_A is minus infinity."""
    highest, total = _LOWEST, np.float64(0.0)
    for action in range(policy_A.shape[0]):
        if logit_A[action] > _LOWEST:
            highest = max(highest, policy_A[action])
    for action in range(policy_A.shape[0]):
        legal = logit_A[action] > _LOWEST
        policy_A[action] = exp_nonpositive(policy_A[action] - highest) if legal else _ZERO
    for action in range(policy_A.shape[0]):
        total += policy_A[action]
    per_weight = np.float64(1.0) / total
    for action in range(policy_A.shape[0]):
        policy_A[action] = np.float32(policy_A[action] * per_weight)
