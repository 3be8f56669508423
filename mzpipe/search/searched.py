"""The results of searched trees: what BatchedSearch and DeepSearch have in common once simulations are done."""

from typing import NoReturn

import numpy as np

from ..config.search import SearchConfig
from ..errors import SearchInputError
from .decide import SearchResult, allocate_result, best_actions, decide
from .halving import halving_table
from .puct import BOUNDS, SIBLINGS, TREE, exploration_table
from .reading import SearchedTree, read_tree
from .tree import allocate_arena, arena_header

# Actions are uint16 in the trees, and one number is NONE.
MAX_ACTIONS = 65_534
_NORMALIZATIONS = {"tree": TREE, "siblings": SIBLINGS, "bounds": BOUNDS}


class SearchedTrees:
    """The trees of one search, in their arena; a subclass searches them."""

    config: SearchConfig
    batch_size: int
    num_actions: int
    _arena: np.ndarray
    _is_gumbel: bool
    # Simulations selected since begin, and those backed up.
    _selected = 0
    _finished = 0
    # Simulations that may be selected: none before begin.
    _limit = 0

    def result(self) -> SearchResult:
        """Returns the results of the simulations since begin, in arrays of the caller's own."""
        self._refuse_unfinished("result()")
        result = allocate_result(self.batch_size, self.num_actions)
        decide(self._arena, self._is_gumbel, *result)
        return result

    def best_action(self) -> np.ndarray:
        """action_B int32: what the search itself would play, in an array of the caller's own.

        Gumbel: of the most visited actions the one with the greatest noise + ln prior + sigma(q), which explores as far
        as `gumbel_scale` makes it. pUCT: the most visited action, the lowest among equals.
        """
        self._refuse_unfinished("best_action()")
        if not self._is_gumbel:
            return self.result().visits_BA.argmax(axis=1).astype(np.int32)
        action_B = np.empty(self.batch_size, np.int32)
        best_actions(self._arena, action_B)
        return action_B

    def tree(self, b: int) -> SearchedTree:
        """Every node of tree `b` after the simulations since begin, for inspection."""
        self._refuse_unfinished("tree()")
        if not 0 <= b < self.batch_size:
            raise SearchInputError(f"tree({b}): there are trees 0 to {self.batch_size - 1}")
        return read_tree(self._arena, b, self._finished + 1)

    def _refuse_select(self) -> NoReturn:
        """Says why select() cannot be called now."""
        if self._limit == 0:
            raise SearchInputError("select() before begin(): a search starts from the roots' network outputs")
        if self._selected != self._finished:
            raise SearchInputError("select() twice in a row: call backup() with the selected edges' outputs first")
        raise SearchInputError(
            f"select() after all {self._finished} simulations: call begin(), or raise search.num_simulations"
        )

    def _refuse_unfinished(self, call: str) -> None:
        if self._selected != self._finished:
            raise SearchInputError(f"{call} in the middle of a simulation: call backup() first")
        if self._finished == 0:
            raise SearchInputError(f"{call} needs at least one finished simulation: call select() and backup() first")


def num_considered_actions(config: SearchConfig, num_actions: int) -> int:
    """Root actions that sequential halving may consider; 0 for pUCT."""
    if config.policy != "gumbel":
        return 0
    return min(config.max_num_considered_actions, num_actions, config.num_simulations)


def search_bytes(config: SearchConfig, *, batch_size: int, num_actions: int, num_codes: int = 0) -> int:
    """Bytes of the trees of one BatchedSearch.

    Per tree: 64 a node, 12 an action of the root, and the rows of unvisited edges. The rows take 4 bytes an action and
    node up to 1 MiB a tree; above that, if actions outnumber simulations, they take about 3.4 * num_simulations^2 in
    all, for any number of actions.
    """
    considered = num_considered_actions(config, num_actions)
    return int(arena_header(config.num_simulations, num_actions, batch_size, considered, num_codes).end)


def make_arena(
    config: SearchConfig,
    header: np.record,
    *,
    policies: int,
) -> np.ndarray:
    """An arena of the header's sizes, with the rules of `config` in it, for policies of this kind (see tree)."""
    header.from_logits = policies
    header.discount = config.discount
    header.normalization = _NORMALIZATIONS[config.q_normalization]
    low, high = config.q_bounds
    header.q_low, header.q_scale = low, 1.0 / (high - low)
    header.min_q_spread, header.unvisited_mean = config.min_q_spread, config.unvisited_q == "mean"
    header.value_scale, header.maxvisit_init = config.value_scale, config.maxvisit_init
    header.rescale_values = config.rescale_values
    exploration_N = exploration_table(config.num_simulations + 1, config.pb_c_init, config.pb_c_base)
    return allocate_arena(header, exploration_N, halving_table(int(header.num_considered), config.num_simulations))
