"""Plain-Python twin of the search kernels: one tree of linked nodes, read beside ALGORITHM's pUCT rules.

Every number is a float32, and sums run in the order the kernels document, so visit counts must agree exactly.
"""

import math
from dataclasses import dataclass, field

import numpy as np

F = np.float32
ZERO = F(0)


@dataclass
class Node:
    """A visited position; the edge into it carries its prior and reward."""

    prior_A: list
    legal_A: list
    reward: F = ZERO
    visits: int = 0
    value: F = ZERO
    children: dict = field(default_factory=dict)
    index: int = 0


def softmax(logits_A, legal_A) -> list:
    highest = max(logit for logit, legal in zip(logits_A, legal_A, strict=True) if legal)
    weights = [np.exp(F(logit - highest)) if legal else F(0) for logit, legal in zip(logits_A, legal_A, strict=True)]
    total = F(0)
    for weight in weights:
        total = F(total + weight)
    return [F(weight / total) for weight in weights]


class NaiveSearch:
    """One tree, searched one simulation at a time."""

    def __init__(self, config, logits_A, value, legal_A=None) -> None:
        self.config, self.discount = config, F(config.discount)
        legal_A = [True] * len(logits_A) if legal_A is None else list(legal_A)
        self.root = Node(softmax(logits_A, legal_A), legal_A, visits=1, value=F(value))
        self.q_seen: list = []
        self.num_nodes = 1
        self.path: list[tuple[Node, int]] = []

    def q(self, node: Node) -> F:
        return F(node.reward + F(self.discount * node.value))

    def normalised(self, q: F) -> F:
        if not self.q_seen or max(self.q_seen) <= min(self.q_seen):
            return q
        low, high = min(self.q_seen), max(self.q_seen)
        return F(F(q - low) / F(high - low))

    def score(self, node: Node, action: int) -> F:
        base, init = self.config.pb_c_base, self.config.pb_c_init
        exploration = F(math.sqrt(node.visits) * (init + math.log((node.visits + base + 1) / base)))
        bonus = F(node.prior_A[action] * exploration)
        if action not in node.children:
            return bonus
        child = node.children[action]
        return F(self.normalised(self.q(child)) + F(bonus / F(1 + child.visits)))

    def select(self) -> tuple[int, int]:
        """(index of the node to leave, action); remembers the path."""
        node, self.path = self.root, []
        while True:
            legal = [action for action in range(len(node.prior_A)) if node.legal_A[action]]
            scores = {action: self.score(node, action) for action in legal}
            action = min(legal, key=lambda candidate: (-scores[candidate], candidate))
            self.path.append((node, action))
            if action not in node.children:
                return node.index, action
            node = node.children[action]

    def backup(self, reward, value, logits_A) -> None:
        parent, action = self.path[-1]
        legal_A = [True] * len(logits_A)
        leaf = Node(softmax(logits_A, legal_A), legal_A, reward=F(reward), index=self.num_nodes)
        parent.children[action] = leaf
        self.num_nodes += 1
        path_return = F(value)
        for parent, action in reversed(self.path):
            child = parent.children[action]
            self.add_return(child, path_return)
            self.q_seen.append(self.q(child))
            path_return = F(child.reward + F(self.discount * path_return))
        self.add_return(self.root, path_return)

    @staticmethod
    def add_return(node: Node, path_return: F) -> None:
        node.visits += 1
        node.value = F(node.value + F(F(path_return - node.value) / F(node.visits)))

    def visits(self) -> list[int]:
        actions = range(len(self.root.prior_A))
        return [self.root.children[a].visits if a in self.root.children else 0 for a in actions]

    def root_q(self) -> list:
        actions = range(len(self.root.prior_A))
        return [self.q(self.root.children[a]) if a in self.root.children else F(0) for a in actions]


def mixed_prior(prior_A, log_gamma_A, legal_A, fraction: float) -> list[float]:
    """(1 - fraction) * prior + fraction * the Dirichlet draw behind `log_gamma_A`, over legal actions."""
    weights = [math.exp(g) if legal else 0.0 for g, legal in zip(log_gamma_A, legal_A, strict=True)]
    return [(1 - fraction) * p + fraction * w / sum(weights) for p, w in zip(prior_A, weights, strict=True)]
