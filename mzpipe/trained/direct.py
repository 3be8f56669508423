"""Searches with a model in this process: no lane, no server, no other process.

Owns    the network on its device and a pool of hidden states there: node n of tree b is in row b * N + n

Shape legend    B trees   N nodes of a tree   A actions, and after them codes of chance   C = 2 + A columns
                S... one stacked observation
                K actions in a row
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch

from ..config import SearchConfig
from ..errors import DeviceWarning
from ..nets import FlatWeights, resolve_devices, use_device
from ..nets.engines.networks import make_networks
from ..search import BatchedSearch, SearchedTree, SearchResult
from .trained import TrainedAgent


class NetworkAnswer(NamedTuple):
    """The network's outputs for B states, in float32 on the host; rewards of observed states are 0."""

    reward_B: np.ndarray
    value_B: np.ndarray
    policy_logits_BA: np.ndarray


class DirectPlanner:
    """A `Planner` that searches one move of all trees at a time and never waits.

    It uses the device, runtime and precision of the run's first inference server, so its results are those of a search
    over a lane. The number of torch threads stays as the caller set it.
    Raises DeviceError for a device, a runtime or a precision that the profile names and this machine lacks, and warns
    with a DeviceWarning where the device runs the network in a slower way than it should.
    """

    def __init__(self, agent: TrainedAgent, config: SearchConfig, *, num_trees: int, seed: int = 0) -> None:
        game, num_nodes = agent.game, config.num_simulations + 1
        (device, *_) = resolve_devices(agent.profile.inference.devices)
        use_device(device, agent.profile.inference.precision)
        (self._network,) = make_networks(
            agent.profile,
            game,
            torch.device(device),
            count=1,
            pool_rows=num_trees * num_nodes,
            max_batch=num_trees,
            note=_warn,
        )
        self._network.load(FlatWeights(agent.model).read())
        self.config, self.num_trees = config, num_trees
        self._num_actions, self._num_codes = game.num_actions, agent.profile.network.chance_codes
        self._search = BatchedSearch(
            config, batch_size=num_trees, num_actions=self._num_actions, num_codes=self._num_codes, seed=seed
        )
        self._root_row_B = num_nodes * np.arange(num_trees)
        self._answer = NetworkAnswer(
            *(np.zeros(shape, np.float32) for shape in (num_trees, num_trees, (num_trees, agent.model.num_places)))
        )
        self.observation = np.zeros((num_trees, *game.observation_shape), game.frame_dtype)
        self._legal_actions_BA: np.ndarray | None = None

    @property
    def idle(self) -> bool:
        """Whether no search has begun."""
        return self._legal_actions_BA is None

    @property
    def answered(self) -> bool:
        """Whether `advance` has something to do."""
        return not self.idle

    def begin(self, legal_actions_BA: np.ndarray) -> None:
        """Requests a search with these legal actions; `observation` must be filled."""
        self._legal_actions_BA = legal_actions_BA

    def advance(self) -> SearchResult | None:
        """Runs the whole requested search and returns its result; None if none was requested.

        Raises SearchInputError for a tree without a legal action.
        """
        legal_actions_BA, self._legal_actions_BA = self._legal_actions_BA, None
        if legal_actions_BA is None:
            return None
        root = self._taken(self._network.infer_roots(self.observation, self._root_row_B))
        self._search.begin(root.policy_logits_BA, root.value_B, legal_actions_BA)
        for node in range(1, self.config.num_simulations + 1):
            parent_index_B, action_B = self._search.select()
            source_B, target_B = self._root_row_B + parent_index_B, self._root_row_B + node
            self._search.backup(*self._taken(self._network.infer_children(source_B, target_B, action_B)))
        return self._search.result()

    def search(self, observation_BS: np.ndarray, legal_actions_BA: np.ndarray) -> SearchResult:
        """Searches one move; observations as FrameStack makes them. Raises the same errors as `advance`."""
        self.observation[:] = observation_BS
        self.begin(legal_actions_BA)
        result = self.advance()
        assert result is not None
        return result

    def best_action(self) -> np.ndarray:
        """action_B int32: the best action of each tree of the last search."""
        return self._search.best_action()

    def tree(self, b: int = 0) -> SearchedTree:
        """A tree of the last search."""
        return self._search.tree(b)

    def unroll(self, observation_S: np.ndarray, action_K: np.ndarray) -> list[NetworkAnswer]:
        """The network's outputs for one observation, then after each action: K + 1 answers with B = 1.

        With chance they are those after the code that the network holds for the likeliest.
        """
        rows = np.arange(2)
        answers = [_copied(self._network.infer_roots(np.ascontiguousarray(observation_S[None]), rows[:1]))]
        for action in action_K:
            answer = self._unrolled(rows, action)
            if self._num_codes:
                likeliest = self._num_actions + int(answer.policy_logits_BA[0, self._num_actions :].argmax())
                answer = self._unrolled(rows, likeliest)
            answers.append(answer)
        return answers

    def _unrolled(self, row_2: np.ndarray, choice: int) -> NetworkAnswer:
        """The answer after an action or code; the hidden states alternate between two rows of the pool."""
        answer = _copied(self._network.infer_children(row_2[:1], row_2[1:], np.array([choice], np.int32)))
        row_2[:] = row_2[::-1].copy()
        return answer

    def _taken(self, answer_RC: np.ndarray) -> NetworkAnswer:
        """The answer, copied into the same arrays every time: the search's kernel reads them in place."""
        for kept, part in zip(self._answer, _parts(answer_RC), strict=True):
            kept[:] = part
        return self._answer


def _warn(line: str) -> None:
    warnings.warn(line, DeviceWarning, stacklevel=1)  # from one place, so that Python shows it once for all planners


def _copied(answer_RC: np.ndarray) -> NetworkAnswer:
    """A copy, because the network's next answer may overwrite this one."""
    return NetworkAnswer(*(part.copy() for part in _parts(answer_RC)))


def _parts(answer_RC: np.ndarray) -> NetworkAnswer:
    return NetworkAnswer(answer_RC[:, 0], answer_RC[:, 1], answer_RC[:, 2:])
