"""A typical first implementation of a search: a Python loop over the nodes of a tree, NumPy over a node's actions.

It is the readable reference. Its rules are those of mzpipe's pUCT:

    score(s, a) = q(s, a) + prior(s, a) * exploration(N(s)) / (1 + N(s, a))
    exploration(n) = sqrt(n) * (pb_c_init + ln((n + pb_c_base + 1) / pb_c_base))

with q scaled to [0, 1] by the least and greatest q seen in this tree, 0 for an edge never visited.

Shape legend    K evaluations, the root's first   B trees   A actions
"""

import math

import numpy as np

from mzpipe.config.search import SearchConfig

from .search_models import Outputs


class _Node:
    """A visited position and the statistics of its outgoing edges."""

    def __init__(self, logits_A: np.ndarray, value: np.float32, reward: np.float32) -> None:
        self.prior_A = _softmax(logits_A)
        self.visits_A = np.zeros(len(logits_A), np.int32)
        self.q_A = np.zeros(len(logits_A), np.float32)
        self.children: dict[int, _Node] = {}
        self.visits, self.value, self.reward = 1, value, reward


class _Tree:
    """One tree, grown one simulation at a time."""

    def __init__(self, config: SearchConfig, root: _Node) -> None:
        self._config, self._discount, self._root = config, np.float32(config.discount), root
        self._q_min, self._q_max = math.inf, -math.inf

    def simulate(self, leaf: _Node) -> None:
        """Walks to an edge never visited, attaches the leaf there, and backs its value up to the root."""
        path, node = [], self._root
        while True:
            action = int(np.argmax(self._score_A(node)))
            path.append((node, action))
            if action not in node.children:
                break
            node = node.children[action]
        node.children[action] = leaf
        self._backup(path, leaf)

    def _score_A(self, node: _Node) -> np.ndarray:
        config, visits = self._config, node.visits
        growth = config.pb_c_init + math.log((visits + config.pb_c_base + 1.0) / config.pb_c_base)
        bonus_A = node.prior_A * np.float32(math.sqrt(visits) * growth) / (1 + node.visits_A).astype(np.float32)
        return bonus_A + np.where(node.visits_A > 0, self._scaled(node.q_A), np.float32(0.0))

    def _scaled(self, q_A: np.ndarray) -> np.ndarray:
        spread = self._q_max - self._q_min
        return (q_A - np.float32(self._q_min)) / np.float32(spread) if spread > 0.0 else q_A

    def _backup(self, path: list[tuple[_Node, int]], leaf: _Node) -> None:
        path_return = leaf.value
        for depth, (node, action) in enumerate(reversed(path)):
            child = node.children[action]
            if depth > 0:
                _add_return(child, path_return)
            q = child.reward + self._discount * child.value
            node.q_A[action], node.visits_A[action] = q, child.visits
            self._q_min, self._q_max = min(self._q_min, float(q)), max(self._q_max, float(q))
            path_return = child.reward + self._discount * path_return
        _add_return(self._root, path_return)


def search_tree(config: SearchConfig, outputs: Outputs, b: int, rng: np.random.Generator) -> np.ndarray:
    """Searches tree `b` of the outputs; returns visits_A, int32. `rng` draws the root noise."""
    root = _node(outputs, 0, b)
    if config.root_exploration_fraction > 0.0:
        noise_A = rng.dirichlet(np.full(len(root.prior_A), config.root_dirichlet_alpha)).astype(np.float32)
        fraction = np.float32(config.root_exploration_fraction)
        root.prior_A = (1 - fraction) * root.prior_A + fraction * noise_A
    tree = _Tree(config, root)
    for k in range(1, config.num_simulations + 1):
        tree.simulate(_node(outputs, k, b))
    return root.visits_A


def search_trees(config: SearchConfig, outputs: Outputs, rng: np.random.Generator) -> np.ndarray:
    """visits_BA of all trees, searched one after another."""
    return np.stack([search_tree(config, outputs, b, rng) for b in range(outputs.value_KB.shape[1])])


def _node(outputs: Outputs, k: int, b: int) -> _Node:
    return _Node(outputs.policy_logits_KBA[k, b], outputs.value_KB[k, b], outputs.reward_KB[k, b])


def _add_return(node: _Node, path_return: np.float32) -> None:
    node.visits += 1
    node.value += (path_return - node.value) / np.float32(node.visits)


def _softmax(logits_A: np.ndarray) -> np.ndarray:
    weights_A = np.exp(logits_A - logits_A.max())
    return weights_A / weights_A.sum()
