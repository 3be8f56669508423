"""BatchedSearch: steps a batch of trees together, one network call per simulation.

    begin(root outputs) -> [select() -> network -> backup(outputs)] x num_simulations -> result()

The search holds no network and no hidden state: select names, per tree, a node
and an action; the caller evaluates the pair and hands the outputs to backup.
Hidden states live wherever the caller keeps node k of each tree.
"""

import numpy as np

from ..config.search import SearchConfig
from ..errors import SearchInputError
from .backup import expand_and_backup
from .decide import SearchResult, allocate_result, decide
from .expand import expand_root
from .inputs import checked, checked_count, checked_out, raise_fault
from .noise import RootNoise, mix_noise
from .select import exploration_table, select
from .tree import allocate_tree


class BatchedSearch:
    """pUCT searches of `batch_size` trees in lockstep (MuZero, Schrittwieser et al. 2020, appendix B).

    All arrays are allocated here, once; a search object is reused for every move. `seed` drives the root noise.
    Every method raises SearchInputError for arrays of the wrong shape, kind or values, naming the argument and the
    first bad tree, and for calls out of order; the trees are then as they were before the call.
    """

    def __init__(self, config: SearchConfig, *, batch_size: int, num_actions: int, seed: int = 0) -> None:
        self.config = config
        self.batch_size = checked_count("batch_size", batch_size, 1)
        self.num_actions = checked_count("num_actions", num_actions, 1)
        checked_count("seed", seed, 0)
        num_nodes = config.num_simulations + 1
        self._tree = allocate_tree(batch_size, num_nodes, num_actions)
        self._exploration_N = exploration_table(num_nodes, config.pb_c_init, config.pb_c_base)
        self._discount = np.float32(config.discount)
        self._noise = RootNoise(config.root_dirichlet_alpha, batch_size=batch_size, num_actions=num_actions, seed=seed)
        self._all_legal_BA = np.ones((batch_size, num_actions), np.bool_)
        self._parent_index_B = np.zeros(batch_size, np.int32)
        self._action_B = np.zeros(batch_size, np.int32)
        self._begun = False
        self._selected = 0  # simulations selected since begin
        self._finished = 0  # simulations backed up since begin

    def begin(
        self, policy_logits_BA: np.ndarray, value_B: np.ndarray, legal_actions_BA: np.ndarray | None = None
    ) -> None:
        """Starts a new search from the roots' network outputs, forgetting the last one.

        policy_logits_BA and value_B are float32, legal_actions_BA is bool (None: every action is legal).
        """
        edges = (self.batch_size, self.num_actions)
        logits_BA = checked("policy_logits_BA", policy_logits_BA, edges, np.float32)
        value_B = checked("value_B", value_B, (self.batch_size,), np.float32)
        legal_BA = self._all_legal_BA
        if legal_actions_BA is not None:
            legal_BA = checked("legal_actions_BA", legal_actions_BA, edges, np.bool_)
        fault, tree = expand_root(self._tree, value_B, logits_BA, legal_BA)
        if fault:
            raise_fault(fault, tree)
        if self.config.root_exploration_fraction > 0.0:
            mix_noise(self._tree, self._noise.draw(), self.config.root_exploration_fraction)
        self._begun, self._selected, self._finished = True, 0, 0

    def select(
        self, parent_index_out_B: np.ndarray | None = None, action_out_B: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """parent_index_B and action_B (int32): the node to leave and the action to take, per tree.

        0 is the root, k the node expanded at simulation k. The arrays are the ones passed in (shared memory, say), or
        else the search's own, overwritten by the next select.
        """
        self._refuse_select_out_of_order()
        shape = (self.batch_size,)
        parent_index_B, action_B = self._parent_index_B, self._action_B
        if parent_index_out_B is not None:
            parent_index_B = checked_out("parent_index_out_B", parent_index_out_B, shape, np.int32)
        if action_out_B is not None:
            action_B = checked_out("action_out_B", action_out_B, shape, np.int32)
        select(self._tree, self._selected + 1, self._exploration_N, parent_index_B, action_B)
        self._selected += 1
        return parent_index_B, action_B

    def backup(self, reward_B: np.ndarray, value_B: np.ndarray, policy_logits_BA: np.ndarray) -> None:
        """Takes the network's outputs (float32) for the selected edges and ends the simulation."""
        if self._selected == self._finished:
            raise SearchInputError("backup() has nothing to back up: call select() first")
        reward_B = checked("reward_B", reward_B, (self.batch_size,), np.float32)
        value_B = checked("value_B", value_B, (self.batch_size,), np.float32)
        logits_BA = checked("policy_logits_BA", policy_logits_BA, (self.batch_size, self.num_actions), np.float32)
        fault, tree = expand_and_backup(self._tree, self._selected, reward_B, value_B, logits_BA, self._discount)
        if fault:
            raise_fault(fault, tree)
        self._finished += 1

    def result(self) -> SearchResult:
        """What the simulations since begin found, in arrays of the caller's own."""
        if self._selected != self._finished:
            raise SearchInputError("result() in the middle of a simulation: call backup() first")
        if self._finished == 0:
            raise SearchInputError("result() needs at least one finished simulation: call select() and backup() first")
        result = allocate_result(self.batch_size, self.num_actions)
        decide(self._tree, result)
        return result

    def _refuse_select_out_of_order(self) -> None:
        if not self._begun:
            raise SearchInputError("select() before begin(): a search starts from the roots' network outputs")
        if self._selected != self._finished:
            raise SearchInputError("select() twice in a row: call backup() with the selected edges' outputs first")
        if self._finished == self.config.num_simulations:
            raise SearchInputError(
                f"select() after all {self._finished} simulations: call begin(), or raise search.num_simulations"
            )
