"""Whole searches over a network in this process: trees in lockstep, or each with several leaves in flight.

Lockstep gives the network a row a tree and simulation; DeepTrees, for few trees and many simulations, a row a leaf.
Both keep the hidden state of every node in a row of the network's pool.

Shape legend    B trees, or rows of a batch   N nodes of a tree   A actions, and after them codes of chance
                C = 2 + A columns, and X more of roots
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ..config import SearchConfig
from ..errors import UsageError
from ..search import BatchedSearch, DeepSearch, SearchedTree, SearchResult

# The simulations for each leaf in flight, and the most leaves, if the caller does not say: see decision 43.
_SIMULATIONS_PER_LEAF, _MOST_LEAVES = 50, 16
IsOver = Callable[[], bool]


class Walked(Protocol):
    """What a search walks: a Network, or the game's own rules with a Network that evaluates (see `by_rules`)."""

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """Answers [R, C] for observations, which become the nodes in rows target_R."""

    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Answers [R, C] for actions from the nodes in rows source_R, which lead to those in rows target_R."""


class NetworkAnswer(NamedTuple):
    """The network's outputs for B states, in float32 on the host; rewards of observed states are 0."""

    reward_B: np.ndarray
    value_B: np.ndarray
    policy_logits_BA: np.ndarray


class Searches(Protocol):
    """Searches of B trees, run to their ends."""

    candidates_BX: np.ndarray  # the roots' actions, where actions are vectors; after `run`

    def run(
        self, observation_BS: np.ndarray, legal_BA: np.ndarray, is_over: IsOver, after: Sequence[int] | None
    ) -> SearchResult:
        """Searches one move of every tree until all simulations are done, or until is_over after any of them.

        `after` as DeepSearch.begin takes it.
        """

    def best_action(self) -> np.ndarray:
        """action_B int32: the best action of each tree."""

    def tree(self, b: int) -> SearchedTree:
        """One tree."""


class Lockstep:
    """See `Searches`: node n of tree b has row b * N + n of the pool. It searches every move anew."""

    def __init__(
        self,
        network: Walked,
        config: SearchConfig,
        *,
        num_trees: int,
        num_actions: int,
        num_codes: int = 0,
        masked: bool = False,
        seed: int,
    ) -> None:
        self._network, self._num_simulations = network, config.num_simulations
        self._search = BatchedSearch(
            config, batch_size=num_trees, num_actions=num_actions, num_codes=num_codes, masked=masked, seed=seed
        )
        self._root_row_B = (config.num_simulations + 1) * np.arange(num_trees)
        self._answers = _Answers(num_trees, num_actions + num_codes)

    def run(
        self, observation_BS: np.ndarray, legal_BA: np.ndarray, is_over: IsOver, after: Sequence[int] | None
    ) -> SearchResult:
        """Searches one move."""
        answer_BC = self._network.infer_roots(observation_BS, self._root_row_B)
        root, self.candidates_BX = self._answers.taken(answer_BC), self._answers.rest(answer_BC)
        self._search.begin(root.policy_logits_BA, root.value_B, legal_BA)
        for node in range(1, self._num_simulations + 1):
            if node > 1 and is_over():
                break
            parent_index_B, action_B = self._search.select()
            source_B, target_B = self._root_row_B + parent_index_B, self._root_row_B + node
            answer = self._answers.taken(self._network.infer_children(source_B, target_B, action_B))
            self._search.backup(*answer)
        return self._search.result()

    def best_action(self) -> np.ndarray:
        """The best actions."""
        return self._search.best_action()

    def tree(self, b: int) -> SearchedTree:
        """One tree."""
        return self._search.tree(b)


class DeepTrees:
    """See `Searches`: row_BN says which row of the pool each node has, because kept nodes change their numbers.

    Every call has the same number of rows: OpenVINO takes twice as long for a batch of another size than the last
    one's. States of rows that no leaf needs go to scratch_row.
    """

    def __init__(
        self,
        network: Walked,
        config: SearchConfig,
        *,
        num_trees: int,
        num_actions: int,
        leaves: int,
        masked: bool = False,
        scratch_row: int,
    ) -> None:
        self._network = network
        sizes = {"num_actions": num_actions, "leaves": leaves}
        self._trees = [DeepSearch(config, **sizes, masked=masked) for _ in range(num_trees)]
        self._row_BN = np.arange(num_trees * (config.num_simulations + 1)).reshape(num_trees, -1)
        self._answers = _Answers(num_trees * leaves, num_actions)
        self._scratch_row = scratch_row
        self._source_B, self._target_B = np.zeros((2, num_trees * leaves), np.int64)
        self._action_B = np.zeros(num_trees * leaves, np.int32)

    def run(
        self, observation_BS: np.ndarray, legal_BA: np.ndarray, is_over: IsOver, after: Sequence[int] | None
    ) -> SearchResult:
        """Searches one move."""
        root_row_B = np.ascontiguousarray(self._row_BN[:, 0])
        answer_BC = self._network.infer_roots(observation_BS, root_row_B)
        root, self.candidates_BX = self._answers.taken(answer_BC), self._answers.rest(answer_BC)
        for tree, row_N, logits_A, value, legal_A in zip(
            self._trees, self._row_BN, root.policy_logits_BA, root.value_B, legal_BA, strict=True
        ):
            row_N[:] = renumbered(row_N, tree.begin(logits_A, value, legal_A, after=after))
        searched = [b for b, tree in enumerate(self._trees) if tree.left]
        while searched:
            self._round(searched)
            searched = [] if is_over() else [b for b in searched if self._trees[b].left]
        return SearchResult(*map(np.concatenate, zip(*(tree.result() for tree in self._trees), strict=True)))

    def best_action(self) -> np.ndarray:
        """The best actions."""
        return np.concatenate([tree.best_action() for tree in self._trees])

    def tree(self, b: int) -> SearchedTree:
        """One tree."""
        return self._trees[b].tree(0)

    def _round(self, searched: list[int]) -> None:
        """A network call for the next leaves of these trees."""
        rounds, end = [], 0
        for b in searched:
            leaves, row_N = self._trees[b].select(), self._row_BN[b]
            begin, end = end, end + len(leaves.action_P)
            self._source_B[begin:end] = row_N[leaves.parent_index_P]
            self._target_B[begin:end] = row_N[leaves.nodes]
            self._action_B[begin:end] = leaves.action_P
            rounds.append((self._trees[b], begin, end))
        # What is legal in one row may not be in another.
        self._source_B[end:], self._action_B[end:] = self._source_B[0], self._action_B[0]
        self._target_B[end:] = self._scratch_row
        answer = self._answers.taken(self._network.infer_children(self._source_B, self._target_B, self._action_B))
        for tree, begin, end in rounds:
            tree.backup(*(part[begin:end] for part in answer))


class _Answers:
    """Copies of the network's answers, in the same arrays every time: the search's kernel reads them in place."""

    def __init__(self, max_rows: int, num_places: int) -> None:
        self._num_places = num_places
        shapes = (max_rows, max_rows, (max_rows, num_places))
        self._kept = NetworkAnswer(*(np.zeros(shape, np.float32) for shape in shapes))

    def taken(self, answer_BC: np.ndarray) -> NetworkAnswer:
        """The answer, until the next call."""
        taken = NetworkAnswer(*(kept[: len(answer_BC)] for kept in self._kept))
        for kept, part in zip(taken, parts(answer_BC, self._num_places), strict=True):
            kept[:] = part
        return taken

    def rest(self, answer_BC: np.ndarray) -> np.ndarray:
        """A copy of the columns after the policy's."""
        return answer_BC[:, 2 + self._num_places :].copy()


def parts(answer_BC: np.ndarray, num_places: int) -> NetworkAnswer:
    """Views of an answer's columns."""
    return NetworkAnswer(answer_BC[:, 0], answer_BC[:, 1], answer_BC[:, 2 : 2 + num_places])


def renumbered(row_N: np.ndarray, kept_K: np.ndarray) -> np.ndarray:
    """The rows of the nodes after those of kept_K, old indexes in new order, were kept; the root keeps the root's row,
    into which the network has written its new state, and other nodes get the rows that are left."""
    is_free_N = np.ones(len(row_N), np.bool_)
    is_free_N[0] = is_free_N[kept_K[1:]] = False
    return np.concatenate([row_N[:1], row_N[kept_K[1:]], row_N[is_free_N]])


def checked_leaves(leaves: int, num_simulations: int) -> int:
    """The number itself; raises UsageError if a search of so many simulations cannot have it."""
    if not 1 <= leaves <= num_simulations:
        raise UsageError(f"leaves={leaves} must be at least 1 and at most num_simulations={num_simulations}")
    return leaves


def usual_leaves(num_simulations: int) -> int:
    """The number of leaves in flight where the caller does not give one: 1 below a hundred simulations, 16 from 800."""
    return max(1, min(_MOST_LEAVES, num_simulations // _SIMULATIONS_PER_LEAF))
