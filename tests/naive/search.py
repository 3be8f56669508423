"""Plain-Python twin of the search kernels: one tree of linked nodes, every selection a scan of all actions.

Read it next to ALGORITHM's pUCT rules and the Gumbel paper. Every number is a float32 and sums run in the order that
the kernels document, so visit counts must agree exactly. It uses one function of the package, exp_nonpositive, which
has tests of its own against float64.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from mzpipe.search.arithmetic import exp_nonpositive
from mzpipe.search.tree import ILLEGAL

F = np.float32
ZERO, ONE = F(0), F(1)
TINY = np.finfo(F).tiny
LEAST_LOGIT = np.finfo(F).min
FIXED_ONE = F(2**46)
exp = getattr(exp_nonpositive, "py_func", exp_nonpositive)


@dataclass
class Node:
    """A visited position; the edge into it carries its prior and reward."""

    weight_A: list
    scale: F
    raw_value: F
    legal_A: list
    prior: F = ONE
    reward: F = ZERO
    visits: int = 0
    value: F = ZERO
    children: dict = field(default_factory=dict)
    index: int = 0
    is_chance: bool = False
    # Several leaves of one tree: visits that wait for their answer, and q until the first has it.
    pending: int = 0
    given_q: F = ZERO

    @property
    def in_flight(self) -> bool:
        return self.visits == self.pending

    def prior_of(self, action: int) -> F:
        return F(self.weight_A[action] * self.scale)

    def newest_first(self) -> list:
        return sorted(self.children.items(), key=lambda item: -item[1].index)

    def unvisited(self) -> list[int]:
        return [a for a, legal in enumerate(self.legal_A) if legal and a not in self.children]


def fixed(weight) -> int:
    """The nearest multiple of 2^-46, the even one of two."""
    return round(float(weight) * 2**46)


def float_of(count: int) -> F:
    """The nearest float32: numpy rounds a Python integer twice, an int64 once."""
    return F(np.int64(count))


def softmax(logits_A, legal_A) -> tuple[list, F]:
    """Weights e^(logit - greatest), and the factor that turns them into probabilities."""
    highest = max(logit for logit, legal in zip(logits_A, legal_A, strict=True) if legal)
    weights = [exp(F(logit - highest)) if legal else ZERO for logit, legal in zip(logits_A, legal_A, strict=True)]
    return weights, F(FIXED_ONE / float_of(sum(fixed(weight) for weight in weights)))


def halving_counts(num_considered: int, num_simulations: int) -> list[int]:
    """Visits that the action of each simulation has: sequential halving played out, round by round."""
    if num_considered == 1:
        return list(range(num_simulations))
    counts, left, visits = [], num_considered, [0] * num_considered
    while len(counts) < num_simulations:
        for _ in range(max(1, int(num_simulations / (math.ceil(math.log2(num_considered)) * left)))):
            for action in range(left):
                counts.append(visits[action])
                visits[action] += 1
        left = max(2, left // 2)
    return counts[:num_simulations]


class NaiveSearch:
    """One tree, searched one simulation at a time."""

    def __init__(
        self, config, policy_A, value, legal_A=None, *, noise_A=None, probabilities=False, num_codes=0
    ) -> None:
        self.num_codes = num_codes
        self.config, self.discount, self.probabilities = config, F(config.discount), probabilities
        num_actions = len(policy_A) - num_codes
        legal_A = [True] * num_actions if legal_A is None else [bool(legal) for legal in legal_A]
        legal_A += [False] * num_codes
        prior_A = self.root_prior(policy_A, legal_A)
        if config.policy == "puct" and noise_A is not None:
            prior_A = mixed_prior(prior_A, noise_A, legal_A, F(config.root_exploration_fraction))
        self.root = Node(prior_A, ONE, F(value), legal_A, visits=1, value=F(value))
        self.q_seen: list = []
        self.num_nodes = 1
        self.path: list[tuple[Node, int]] = []
        if config.policy == "gumbel":
            self.rank_root(policy_A, [ZERO] * len(policy_A) if noise_A is None else noise_A)

    def root_prior(self, policy_A, legal_A) -> list:
        if self.probabilities:
            legal = [F(p) if is_legal else ZERO for p, is_legal in zip(policy_A, legal_A, strict=True)]
            weights = [F(p / max(legal)) for p in legal]
            scale = F(FIXED_ONE / float_of(sum(fixed(weight) for weight in weights)))
        else:
            weights, scale = softmax(policy_A, legal_A)
        return [F(weight * scale) for weight in weights]

    def rank_root(self, policy_A, noise_A) -> None:
        """Logits and scores of the root's legal actions, and the considered ones, best first."""
        legal = [a for a, is_legal in enumerate(self.root.legal_A) if is_legal]
        log = (lambda p: F(math.log(max(p, TINY)))) if self.probabilities else F
        highest = max(log(policy_A[a]) for a in legal)
        self.logit_A = {a: max(F(log(policy_A[a]) - highest), LEAST_LOGIT) for a in legal}
        self.score_A = {a: F(self.logit_A[a] + F(noise_A[a])) for a in legal}
        most = min(self.config.max_num_considered_actions, self.config.num_simulations, len(legal))
        self.considered = sorted(legal, key=lambda a: (-self.score_A[a], a))[:most]
        self.halving = halving_counts(len(self.considered), self.config.num_simulations)

    def q(self, node: Node) -> F:
        return F(node.reward + F(self.discount_into(node) * node.value))

    def discount_into(self, node: Node) -> F:
        return ONE if node.is_chance else self.discount

    def range_of(self, node: Node) -> list:
        """The q whose spread sets the scale."""
        if self.config.q_normalization == "siblings":
            return [node.value] + [self.q(child) for child in node.children.values()]
        return self.q_seen

    def bounds(self, node: Node) -> tuple[F, F]:
        """The number that is subtracted from q, and the factor of the difference."""
        if self.config.q_normalization == "bounds":
            low, high = self.config.q_bounds
            return F(low), F(1.0 / (high - low))
        seen = self.range_of(node)
        spread = F(max(seen) - min(seen)) if seen else ZERO
        if self.config.q_normalization == "tree" and spread < TINY:
            return ZERO, ONE
        return min(seen), F(ONE / max(spread, F(self.config.min_q_spread)))

    def mean_q(self, node: Node, carried: F | None) -> F:
        """The mean of the visited q; `carried`, the mean of the node above, is one of them."""
        total, count = ZERO, len(node.children)
        for _, child in node.newest_first():
            total = F(total + self.q(child))
        if carried is None:
            return F(total / F(count))
        if self.config.q_normalization != "bounds":
            carried = min(max(carried, min(self.range_of(node))), max(self.range_of(node)))
        return F(F(carried + total) / F(count + 1))

    def mean_above(self, node: Node) -> F | None:
        """The mean used at the decision node above, as the player to move at `node` sees it; None at the root."""
        if node is self.root:
            return None
        above = next(parent for parent, action in self.path if parent.children.get(action) is node)
        mean = self.mean_above(above) if above.is_chance else self.mean_q(above, self.mean_above(above))
        return F(-mean) if self.discount_into(node) < 0 else mean

    def puct_scores(self, node: Node) -> dict:
        base, init = self.config.pb_c_base, self.config.pb_c_init
        exploration = F(math.sqrt(node.visits) * (init + math.log((node.visits + base + 1) / base)))
        low, scale = self.bounds(node)
        unvisited_q = ZERO
        if self.config.unvisited_q == "mean" and node.children:
            unvisited_q = F(F(self.mean_q(node, self.mean_above(node)) - low) * scale)
        weights = {a: node.weight_A[a] for a in node.unvisited()}
        # Of the unvisited actions the one with the greatest weight is the best, even if rounding makes scores equal.
        best = [greatest(weights)] if weights else []
        scores = {a: F(unvisited_q + F(node.prior_of(a) * exploration)) for a in best}
        for action, child in node.children.items():
            bonus = F(F(child.prior * exploration) / F(1 + child.visits))
            scores[action] = F(F(F(self.q(child) - low) * scale) + bonus)
        return scores

    def completion(self, node: Node) -> tuple[F, F, F]:
        """The completed q of unvisited edges, the greatest completed q, and what a unit of q counts in sigma."""
        sum_prior, sum_q = ZERO, ZERO
        in_order = reversed(node.newest_first()) if node is self.root else node.newest_first()
        for _, child in in_order:
            prior = max(child.prior, TINY)
            sum_prior, sum_q = F(sum_prior + prior), F(sum_q + F(prior * self.q(child)))
        mixed = node.raw_value
        if node.children:
            per_visit = F(ONE / F(node.visits))
            mixed = F(F(node.raw_value * per_visit) + F(F(ONE - per_visit) * F(sum_q / sum_prior)))
        completed = [self.q(child) for child in node.children.values()] + [mixed] * bool(node.unvisited())
        most = max((child.visits for child in node.children.values()), default=0)
        slope = F(F(F(self.config.maxvisit_init) + F(most)) * F(self.config.value_scale))
        if self.config.rescale_values:
            slope = F(slope / max(F(max(completed) - min(completed)), F(self.config.min_q_spread)))
        return mixed, max(completed), slope

    def improved(self, node: Node) -> tuple[dict, F]:
        """Weights of all edges in pi', and their sum."""
        mixed, top, slope = self.completion(node)
        shrink = exp(F(slope * F(mixed - top))) if node.unvisited() else ZERO
        mass = sum(fixed(node.weight_A[a]) for a in node.unvisited())
        best_prior = max((node.prior_of(a) for a in node.unvisited()), default=ZERO)
        total = F(max(F(F(float_of(mass) / FIXED_ONE) * node.scale), best_prior) * shrink)
        weights = {a: F(node.prior_of(a) * shrink) for a in node.unvisited()}
        for action, child in node.newest_first():
            weights[action] = F(max(child.prior, TINY) * exp(F(slope * F(self.q(child) - top))))
            total = F(total + weights[action])
        return weights, total

    def below_scores(self, node: Node) -> dict:
        if not node.children:
            return {a: node.weight_A[a] for a in node.unvisited()}
        weights, total = self.improved(node)
        visits = {action: child.visits for action, child in node.children.items()}
        per_weight, per_visit = F(ONE / total), F(ONE / F(node.visits))
        return {a: F(F(w * per_weight) - F(F(visits.get(a, 0)) * per_visit)) for a, w in weights.items()}

    def halving_scores(self, visits: int) -> dict:
        """Scores of the root actions with this many visits."""
        if visits == 0:
            return {a: self.score_A[a] for a in self.considered if a not in self.root.children}
        _, top, slope = self.completion(self.root)
        return {
            action: F(self.score_A[action] + F(slope * F(self.q(child) - top)))
            for action, child in self.root.children.items()
            if child.visits == visits
        }

    def scores(self, node: Node) -> dict:
        if node.is_chance:
            visits = {action: child.visits for action, child in node.children.items()}
            priors = {a: child.prior for a, child in node.children.items()} | {
                a: node.prior_of(a) for a in node.unvisited()
            }
            return {a: F(prior / F(1 + visits.get(a, 0))) for a, prior in priors.items()}
        if self.config.policy == "puct":
            return self.puct_scores(node)
        return self.halving_scores(self.halving[self.num_nodes - 1]) if node is self.root else self.below_scores(node)

    def select(self) -> tuple[int, int]:
        """(index of the node to leave, action); remembers the path."""
        node, self.path = self.root, []
        while True:
            action = greatest(self.scores(node))
            self.path.append((node, action))
            if action not in node.children:
                return node.index, action
            node = node.children[action]

    def backup(self, reward, value, policy_A) -> None:
        parent, action = self.path[-1]
        is_chance = self.num_codes > 0 and not parent.is_chance
        num_actions = len(policy_A) - self.num_codes
        legal_A = [self.num_codes == 0 or (a >= num_actions) == is_chance for a in range(len(policy_A))]
        legal_A = [legal and policy_A[a] != ILLEGAL for a, legal in enumerate(legal_A)]
        reward = ZERO if is_chance else reward
        weights, scale = ([F(p) for p in policy_A], ONE) if self.probabilities else softmax(policy_A, legal_A)
        prior = parent.prior_of(action)
        leaf = Node(weights, scale, F(value), legal_A, prior=prior, reward=F(reward), index=self.num_nodes)
        leaf.is_chance = is_chance
        parent.children[action] = leaf
        self.num_nodes += 1
        path_return = F(value)
        for parent, action in reversed(self.path):
            child = parent.children[action]
            self.add_return(child, path_return)
            if child.is_chance or not self.num_codes:
                self.q_seen.append(self.q(child))
            path_return = F(child.reward + F(self.discount_into(child) * path_return))
        self.add_return(self.root, path_return)

    @staticmethod
    def add_return(node: Node, path_return: F) -> None:
        node.visits += 1
        node.value = F(node.value + F(F(path_return - node.value) / F(node.visits)))

    def visits(self) -> list[int]:
        actions = range(len(self.root.weight_A) - self.num_codes)
        return [self.root.children[a].visits if a in self.root.children else 0 for a in actions]

    def root_q(self) -> list:
        actions = range(len(self.root.weight_A) - self.num_codes)
        return [self.q(self.root.children[a]) if a in self.root.children else F(0) for a in actions]

    def search_policy(self) -> list:
        if self.config.policy == "puct":
            return [visits / (self.num_nodes - 1) for visits in self.visits()]
        mixed, top, slope = self.completion(self.root)
        logits = {a: float(logit) + float(slope) * float(mixed - top) for a, logit in self.logit_A.items()}
        for action, child in self.root.children.items():
            logits[action] += float(slope) * float(self.q(child) - mixed)
        highest = max(logits.values())
        total = sum(math.exp(logit - highest) for logit in logits.values())
        return [math.exp(logits[a] - highest) / total if a in logits else 0.0 for a in range(len(self.root.weight_A))]

    def best_action(self) -> int:
        if self.config.policy == "puct":
            return self.visits().index(max(self.visits()))
        return greatest(self.halving_scores(max(self.visits())))


def greatest(scores: dict) -> int:
    """The action of the highest score, the lowest among equals."""
    return min(scores, key=lambda action: (-scores[action], action))


def mixed_prior(prior_A, log_gamma_A, legal_A, fraction) -> list:
    """(1 - fraction) * prior + fraction * the Dirichlet draw of `log_gamma_A`, over legal actions."""
    highest = max(F(g) for g, legal in zip(log_gamma_A, legal_A, strict=True) if legal)
    weights = [exp(F(F(g) - highest)) if legal else ZERO for g, legal in zip(log_gamma_A, legal_A, strict=True)]
    total = 0.0
    for weight in weights:  # sum() would compensate
        total += float(weight)
    total = F(total)
    return [
        F(p + F(F(fraction) * F(F(w / total) - p))) if legal else ZERO
        for p, w, legal in zip(prior_A, weights, legal_A, strict=True)
    ]
