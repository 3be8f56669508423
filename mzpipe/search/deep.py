"""DeepSearch: one tree, several of its leaves in one network call.

    begin(root outputs) -> [select() -> network -> backup(outputs)] until `left` is 0 -> result()

A search of one position has one row for the network at a time, and a call costs about the same with one row as with
eight. Here a round selects up to `leaves` edges, each under the assumption that the visits before it are under way.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..config.search import SearchConfig
from ..errors import SearchInputError
from .inputs import checked, checked_count, raise_any
from .keep import keep_subtree
from .leaves import answer_leaves, begin_leaves, select_leaves
from .searched import MAX_ACTIONS, SearchedTrees, make_arena, num_considered_actions
from .simulate import start_roots
from .tree import LOGITS, MASKED_LOGITS, arena_header

# Walks of a round, for each leaf that it may have: some end at a leaf in flight. See decision 43.
_WALKS_PER_LEAF = 2


class Leaves(NamedTuple):
    """The edges of one round, P of them: row p leads from parent_index_P[p] by action_P[p] to node `first` + p."""

    first: int
    parent_index_P: np.ndarray
    action_P: np.ndarray

    @property
    def nodes(self) -> slice:
        """The indexes of the nodes that these edges lead to."""
        return slice(self.first, self.first + len(self.action_P))


class DeepSearch(SearchedTrees):
    """Searches of one tree with up to `leaves` network rows in flight, without root noise; with leaves=1 it is
    BatchedSearch of one tree, bit for bit.

    All arrays are allocated here, once; rows of weights are full; `masked` is as in BatchedSearch. Every method raises
    SearchInputError as BatchedSearch does; the tree is then as it was before the call.
    """

    batch_size = 1

    def __init__(self, config: SearchConfig, *, num_actions: int, leaves: int, masked: bool = False) -> None:
        self.config = config
        self.leaves = _checked_leaves(leaves, config.num_simulations)
        self.num_actions = checked_count("num_actions", num_actions, 1, MAX_ACTIONS)
        self._is_gumbel = config.policy == "gumbel"
        _refuse_noise(config)
        considered = num_considered_actions(config, num_actions)
        # One node more than the search can have: the last one has no row, and a node that is kept needs one.
        num_nodes = config.num_simulations + (not self._is_gumbel)
        header = arena_header(num_nodes, num_actions, 1, considered, may_shorten=False)
        self._arena = make_arena(config, header, policies=MASKED_LOGITS if masked else LOGITS)
        self._new_N, self._kept_N = np.zeros((2, num_nodes + 1), np.uint16)
        self._no_noise_A = np.zeros(num_actions, np.float32)
        self._all_legal_A = np.ones(num_actions, np.bool_)
        self._collided_W = np.zeros(_WALKS_PER_LEAF * leaves, np.uint16)
        self._parent_P, self._action_P = np.zeros(leaves, np.int32), np.zeros(leaves, np.int32)
        # Rounds since begin, and walks that ended at a leaf in flight.
        self.rounds = self.collisions = 0

    @property
    def left(self) -> int:
        """Simulations that may still be selected."""
        return self._limit - self._selected

    def begin(
        self,
        policy_logits_A: np.ndarray,
        value: float,
        legal_actions_A: np.ndarray | None = None,
        *,
        after: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Starts a new search from the root's network outputs and discards the last one.

        policy_logits_A is float32, legal_actions_A is bool (None: every action is legal). With `after`, the actions
        played since the last search's root, that search is not discarded: the nodes below the one that they lead to
        are kept, and count as simulations of this search. Returns the last search's indexes of the nodes that this one
        has, in the order of their new indexes; the first is that of the root, whose outputs are new.
        """
        shape = (self.num_actions,)
        policy_BA = checked("policy_logits_A", policy_logits_A, shape, np.float32)[None]
        legal_A = self._all_legal_A
        if legal_actions_A is not None:
            legal_A = checked("legal_actions_A", legal_actions_A, shape, np.bool_)
        value_B = np.array([value], np.float32)
        count = 0 if after is None else self._keep(after, value_B, policy_BA, legal_A[None])
        if count == 0:
            raise_any(*start_roots(self._arena, value_B, policy_BA, legal_A[None]))
            begin_leaves(self._arena, legal_A, self._no_noise_A)
            count, self._kept_N[0] = 1, 0
        self._selected = self._finished = count - 1
        self._limit = self.config.num_simulations
        self.rounds = self.collisions = 0
        return self._kept_N[:count].astype(np.int64)

    def _keep(self, after: Sequence[int], value_B: np.ndarray, policy_BA: np.ndarray, legal_BA: np.ndarray) -> int:
        """Makes the node after these actions the root; the number of nodes in the tree, 0 if it is not there."""
        if self._is_gumbel:
            raise SearchInputError("search.policy='gumbel' with after: its sequential halving begins every search anew")
        if self._finished == 0 or self._selected != self._finished:
            return 0
        path, num_nodes = np.array(after, np.int64), self._finished + 1
        fault, row, count = keep_subtree(
            self._arena, path, num_nodes, value_B, policy_BA, legal_BA, self._new_N, self._kept_N
        )
        raise_any(fault, row)
        return int(count)

    def select(self) -> Leaves:
        """The edges of the next round, 1 to `leaves`: edge p leads from node parent_index_P[p] by action_P[p] to node
        `first` + p. The next select overwrites the arrays."""
        if self._selected != self._finished or self.left == 0:
            self._refuse_select()
        first, most, walks = self._finished + 1, min(self.leaves, self.left), min(len(self._collided_W), self.left)
        count, collisions = select_leaves(
            self._arena, first, most, walks, self._collided_W, self._parent_P, self._action_P
        )
        self._selected += count
        self.rounds, self.collisions = self.rounds + 1, self.collisions + collisions
        return Leaves(first, self._parent_P[:count], self._action_P[:count])

    def backup(self, reward_P: np.ndarray, value_P: np.ndarray, policy_logits_PA: np.ndarray) -> None:
        """Takes the network's outputs (float32), a row per edge of the round, and ends the round."""
        count = self._selected - self._finished
        if count == 0:
            raise SearchInputError("backup() has nothing to back up: call select() first")
        fault, row = answer_leaves(
            self._arena,
            self._finished + 1,
            checked("reward_P", reward_P, (count,), np.float32),
            checked("value_P", value_P, (count,), np.float32),
            checked("policy_logits_PA", policy_logits_PA, (count, self.num_actions), np.float32),
        )
        raise_any(fault, row)
        self._finished = self._selected


def _checked_leaves(leaves: int, num_simulations: int) -> int:
    if not 1 <= leaves <= num_simulations:
        raise SearchInputError(f"leaves={leaves} must be at least 1 and at most num_simulations={num_simulations}")
    return leaves


def _refuse_noise(config: SearchConfig) -> None:
    """Raises SearchInputError for a search that explores."""
    field = "gumbel_scale" if config.policy == "gumbel" else "root_exploration_fraction"
    if getattr(config, field) != 0.0:
        raise SearchInputError(
            f"search.{field}={getattr(config, field)} must be 0: a search of several leaves is for play, without noise"
        )
