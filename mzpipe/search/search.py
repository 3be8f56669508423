"""BatchedSearch: steps a batch of trees together, one network call per simulation.

    begin(root outputs) -> [select() -> network -> backup(outputs)] x num_simulations -> result()

The search holds no network and no hidden state: select names, per tree, a node and an action; the caller evaluates the
pair and hands the outputs to backup. The caller keeps the hidden state of node k of each tree.

One kernel call does all of a simulation's work: backup expands, carries the values up, and walks to the edges that the
next select returns.
"""

import numpy as np

from ..config.search import SearchConfig
from ..errors import SearchInputError
from .compiled import seal
from .inputs import checked, checked_count, checked_out, raise_fault, refuse_shared
from .noise import RootNoise
from .searched import MAX_ACTIONS, SearchedTrees, make_arena, num_considered_actions
from .simulate import (
    advance_chance,
    advance_gumbel,
    advance_puct,
    begin_gumbel,
    begin_gumbel_chance,
    begin_puct,
    begin_puct_chance,
    mix_noise,
    start_roots,
)
from .tree import LOGITS, MASKED_LOGITS, PROBABILITIES, arena_header


class BatchedSearch(SearchedTrees):
    """Searches of `batch_size` trees in lockstep, by pUCT (MuZero, Schrittwieser et al. 2020, appendix B) or by Gumbel
    MuZero (Danihelka et al. 2022), as `config.policy` says.

    All arrays are allocated here, once; a search object is reused for every move. `seed` drives the root noise. With
    `probabilities=True` the given policies are probabilities instead of logits, so that a device can do the softmax:
    they are nonnegative, at least one is above 0, and they sum to 1 (not checked). With `masked=True` a logit that
    is the lowest float32, given to backup, says that the node does not have this edge; a node has at least one.

    With num_codes = C > 0 the trees have chance nodes (Stochastic MuZero, Antonoglou et al. 2022; see `chance`): an
    action leads to one, and one of its C codes to the next decision. Policies then have A + C logits, the actions'
    first; `select` names code c as action A + c; the outputs for an action are those of its afterstate, whose reward is
    not read, and those for a code are the next state's. Every edge takes a simulation. Selected edges are written to
    parent_index_B and action_B (int32, possibly in shared memory); without them the search has arrays of its own.

    Every method raises SearchInputError for arrays of the wrong shape, kind or values, naming the argument and the
    first bad tree, and for calls out of order; the trees are then as they were before the call.
    """

    def __init__(
        self,
        config: SearchConfig,
        *,
        batch_size: int,
        num_actions: int,
        num_codes: int = 0,
        seed: int = 0,
        probabilities: bool = False,
        masked: bool = False,
        parent_index_B: np.ndarray | None = None,
        action_B: np.ndarray | None = None,
    ) -> None:
        self.config = config
        self.batch_size = checked_count("batch_size", batch_size, 1)
        self.num_codes = checked_count("num_codes", num_codes, 0)
        self.num_actions = checked_count("num_actions", num_actions, 1, MAX_ACTIONS - num_codes)
        _refuse_with_chance(num_codes, probabilities, masked)
        self._is_gumbel = config.policy == "gumbel"
        self._noise = RootNoise(
            batch_size=batch_size,
            num_actions=num_actions + num_codes,
            seed=checked_count("seed", seed, 0),
            alpha=None if self._is_gumbel else config.root_dirichlet_alpha,
            scale=config.gumbel_scale,
        )
        considered = num_considered_actions(config, num_actions)
        header = arena_header(config.num_simulations, num_actions, batch_size, considered, num_codes)
        policies = PROBABILITIES if probabilities else MASKED_LOGITS if masked else LOGITS
        self._arena = make_arena(config, header, policies=policies)
        self._advance = advance_chance if num_codes else advance_gumbel if self._is_gumbel else advance_puct
        self._policy_name = "policy_BA" if probabilities else "policy_logits_BA"
        self._all_legal_BA = np.ones((batch_size, num_actions), np.bool_)
        # With chance: the legal actions, and the codes, which are none of the root's.
        self._root_legal_BA = np.zeros((batch_size, num_actions + num_codes), np.bool_)
        shape = (batch_size,)
        self._selection = (
            checked_out("parent_index_B", parent_index_B, shape, np.int32),
            checked_out("action_B", action_B, shape, np.int32),
        )
        refuse_shared("parent_index_B", "action_B", *self._selection)
        self._sealed = seal(self._advance, self._arena, 1, *self._sample_outputs(), *self._selection)

    def begin(
        self, policy_logits_BA: np.ndarray, value_B: np.ndarray, legal_actions_BA: np.ndarray | None = None
    ) -> None:
        """Starts a new search from the roots' network outputs and discards the last one.

        policy_logits_BA and value_B are float32, legal_actions_BA is bool (None: every action is legal).
        """
        policy_BA = checked(self._policy_name, policy_logits_BA, self._policy_shape, np.float32)
        value_B = checked("value_B", value_B, (self.batch_size,), np.float32)
        legal_BA = self._all_legal_BA
        if legal_actions_BA is not None:
            shape = (self.batch_size, self.num_actions)
            legal_BA = checked("legal_actions_BA", legal_actions_BA, shape, np.bool_)
        if self.num_codes:
            self._root_legal_BA[:, : self.num_actions] = legal_BA
            legal_BA = self._root_legal_BA
        fault, tree = start_roots(self._arena, value_B, policy_BA, legal_BA)
        if fault:
            raise_fault(fault, tree)
        if self._is_gumbel:
            t = self._noise.next()
            begin = begin_gumbel_chance if self.num_codes else begin_gumbel
            begin(self._arena, self._noise.noise_BTA, t, *self._selection)
        else:
            self._begin_puct(legal_BA)
        self._selected, self._finished, self._limit = 0, 0, self.config.num_simulations

    def select(self) -> tuple[np.ndarray, np.ndarray]:
        """parent_index_B and action_B (int32): the node to leave and the action to take, per tree.

        0 is the root, k the node expanded at simulation k. The arrays are those of the constructor, or else the
        search's own; the next begin or backup overwrites them.
        """
        if self._selected != self._finished or self._finished == self._limit:
            self._refuse_select()
        self._selected += 1
        return self._selection

    def backup(self, reward_B: np.ndarray, value_B: np.ndarray, policy_logits_BA: np.ndarray) -> None:
        """Takes the network's outputs (float32) for the selected edges and ends the simulation."""
        if self._selected == self._finished:
            raise SearchInputError("backup() has nothing to back up: call select() first")
        outputs = [reward_B, value_B, policy_logits_BA]
        if not self._sealed:
            outputs = self._checked_outputs(*outputs)
        try:
            fault, tree = self._advance(self._arena, self._selected, *outputs, *self._selection)
        except TypeError:  # an array's kind differs from that for which the kernel was compiled
            outputs = self._checked_outputs(*outputs)
            fault, tree = self._advance(self._arena, self._selected, *outputs, *self._selection)
        if fault:
            self._checked_outputs(*outputs)
            raise_fault(fault, tree)
        self._finished += 1

    def _checked_outputs(self, *outputs: np.ndarray) -> list[np.ndarray]:
        """The three arrays of backup, checked, and copied if the kernel cannot take them as they are."""
        names = ("reward_B", "value_B", self._policy_name)
        shapes = ((self.batch_size,), (self.batch_size,), self._policy_shape)
        return [checked(*each, np.float32) for each in zip(names, outputs, shapes, strict=True)]

    @property
    def _policy_shape(self) -> tuple[int, int]:
        """The shape of the policies that the search is given."""
        return self.batch_size, self.num_actions + self.num_codes

    def _sample_outputs(self) -> list[np.ndarray]:
        """Arrays of the kinds that backup takes."""
        return [np.zeros(shape, np.float32) for shape in (1, 1, (1, 1))]

    def _begin_puct(self, legal_BA: np.ndarray) -> None:
        if self.config.root_exploration_fraction > 0.0:
            t, fraction = self._noise.next(), np.float32(self.config.root_exploration_fraction)
            mix_noise(self._arena, self._noise.noise_BTA, t, legal_BA, fraction)
        begin = begin_puct_chance if self.num_codes else begin_puct
        begin(self._arena, legal_BA, *self._selection)


def _refuse_with_chance(num_codes: int, probabilities: bool, masked: bool) -> None:
    """Raises SearchInputError for what trees with chance do not have."""
    for what, is_so in {"probabilities=True": probabilities, "masked=True": masked}.items():
        if num_codes and is_so:
            raise SearchInputError(f"num_codes={num_codes} with {what}: trees with chance are searched without it")
