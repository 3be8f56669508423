"""Searches with a model in this process: no lane, no server, no other process.

Owns    the network on its device and a pool of hidden states there

Shape legend    B trees   A actions, and after them codes of chance   C = 2 + A columns   S... one stacked observation
                K actions in a row   D numbers of an action that is a vector
"""

import time
import warnings
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from ..config import SearchConfig
from ..errors import DeviceWarning, UsageError
from ..games import Game, WalkableGame
from ..nets import FlatWeights, Model, resolve_devices, use_device
from ..nets.engines.networks import make_networks
from ..search import SearchedTree, SearchResult
from .averaged import AveragedRoots, symmetries_of
from .by_rules import RulesWithNetwork
from .searches import DeepTrees, IsOver, Lockstep, NetworkAnswer, Searches, Walked, checked_leaves, parts
from .trained import TrainedAgent


class DirectPlanner:
    """A `Planner` that searches one move of all trees at a time and never waits.

    It uses the device, runtime and precision of the run's first inference server, so its results are those of a search
    over a lane. With more than one of its `leaves` in flight a tree's searches are faster and see other leaves; with
    `keeps` the nodes below a played move may be searched on; with `symmetries` the network's outputs for a root are
    means over those of the game. The number of torch threads stays as the caller set it.
    Raises DeviceError for a device, a runtime or a precision that the profile names and this machine lacks,
    UsageError for a number of leaves that the search cannot have and for symmetries of a game without any, and warns
    with a DeviceWarning where the device runs the network in a slower way than it should.
    """

    def __init__(
        self,
        agent: TrainedAgent,
        config: SearchConfig,
        *,
        num_trees: int,
        seed: int = 0,
        leaves: int = 1,
        keeps: bool = False,
        symmetries: bool = False,
    ) -> None:
        checked_leaves(leaves, config.num_simulations)
        game, num_nodes = agent.game, config.num_simulations + 1
        self._num_actions, self._model = game.num_actions, agent.model
        (device, *_) = resolve_devices(agent.profile.inference.devices)
        use_device(device, agent.profile.inference.precision)
        by_rules, max_batch = config.model == "rules", num_trees * leaves
        # Two rows more than the trees have nodes, for `unroll`. By the rules a node has no hidden state that is read.
        scratch_row = num_trees * num_nodes
        self._unrolled_row = max_batch if by_rules else scratch_row
        (self._network,) = make_networks(
            agent.profile,
            game,
            torch.device(device),
            count=1,
            pool_rows=self._unrolled_row + 2,
            max_batch=max_batch,
            note=_warn,
        )
        self._network.load(FlatWeights(agent.model).read())
        self._num_codes = agent.profile.network.chance_codes
        if self._num_codes:
            leaves = 1  # neither they nor kept nodes know codes
        # Kept nodes hold candidates that were drawn from the state that the model had expected.
        keeps = keeps and not self._num_codes and not game.action_size
        self.config, self.num_trees, self.leaves, self.keeps = config, num_trees, leaves, keeps
        rules = agent.profile.game, max_batch, scratch_row + 1
        self._by_rules = RulesWithNetwork(self._network, *rules) if by_rules else None
        walked: Walked = self._by_rules or self._network
        if symmetries:
            evaluate = self._by_rules.evaluate if self._by_rules is not None else self._network.infer_roots
            walked = AveragedRoots(walked, evaluate, symmetries_of(game))
        sizes = {"num_trees": num_trees, "num_actions": game.num_actions}
        self._searches: Searches
        if leaves == 1 and not keeps:
            self._searches = Lockstep(walked, config, **sizes, num_codes=self._num_codes, masked=by_rules, seed=seed)
        else:
            self._searches = DeepTrees(walked, config, **sizes, leaves=leaves, masked=by_rules, scratch_row=scratch_row)
        self.observation = np.zeros((num_trees, *game.observation_shape), game.frame_dtype)
        shape = (num_trees, game.num_actions, game.action_size)
        self.candidates_BAD = np.zeros(shape, np.float32) if game.action_size else None
        self._legal_actions_BA: np.ndarray | None = None

    @property
    def idle(self) -> bool:
        """Whether no search has begun."""
        return self._legal_actions_BA is None

    @property
    def answered(self) -> bool:
        """Whether `advance` has something to do."""
        return not self.idle

    def begin(self, legal_actions_BA: np.ndarray, games: Game | None = None) -> None:
        """Requests a search with these legal actions; `observation` must be filled.

        Raises UsageError for a search by the rules without the games whose positions it begins at.
        """
        if self._by_rules is not None:
            if games is None:
                raise UsageError(
                    "search.model='rules': a search by the rules begins at a position, which one observation does not "
                    "tell: use move(history)"
                )
            self._by_rules.games = cast(WalkableGame, games)
        self._legal_actions_BA = legal_actions_BA

    def advance(self) -> SearchResult | None:
        """Runs the whole requested search and returns its result; None if none was requested.

        Raises SearchInputError for a tree without a legal action.
        """
        return self._run(_never, None)

    def search(
        self,
        observation_BS: np.ndarray,
        legal_actions_BA: np.ndarray,
        *,
        games: Game | None = None,
        seconds: float | None = None,
        after: Sequence[int] | None = None,
    ) -> SearchResult:
        """Searches one move; observations as FrameStack makes them. Raises the same errors as `advance`.

        After `seconds` no further network call begins; one simulation, or one round of leaves, is always searched. With
        `after` a planner that keeps searches on below the node to which these actions lead from the last search's root.
        """
        is_over = _never if seconds is None else _clock(seconds)
        self.observation[:] = observation_BS
        self.begin(legal_actions_BA, games)
        result = self._run(is_over, after if self.keeps else None)
        assert result is not None
        return result

    def _run(self, is_over: IsOver, after: Sequence[int] | None) -> SearchResult | None:
        legal_actions_BA, self._legal_actions_BA = self._legal_actions_BA, None
        if legal_actions_BA is None:
            return None
        result = self._searches.run(self.observation, legal_actions_BA, is_over, after)
        if self.candidates_BAD is not None:
            self.candidates_BAD[:] = self._searches.candidates_BX.reshape(self.candidates_BAD.shape)
        return result

    def best_action(self) -> np.ndarray:
        """action_B int32: the best action of each tree of the last search."""
        return self._searches.best_action()

    def tree(self, b: int = 0) -> SearchedTree:
        """A tree of the last search."""
        return self._searches.tree(b)

    def unroll(self, observation_S: np.ndarray, action_K: Sequence[np.ndarray] | np.ndarray) -> list[NetworkAnswer]:
        """The network's outputs for one observation, then after each action: K + 1 answers with B = 1.

        The hidden states alternate between the pool's last two rows. With chance the answers are those after the code
        that the network holds for the likeliest. Where actions are vectors [K, D], torch answers.
        """
        if self.candidates_BAD is not None:
            return _unrolled_along_vectors(self._model, observation_S, action_K)
        rows = self._unrolled_row + np.arange(2)
        answers = [self._copied(self._network.infer_roots(np.ascontiguousarray(observation_S[None]), rows[:1]))]
        for action in action_K:
            answer = self._unrolled(rows, int(action))
            if self._num_codes:
                likeliest = self._num_actions + int(answer.policy_logits_BA[0, self._num_actions :].argmax())
                answer = self._unrolled(rows, likeliest)
            answers.append(answer)
        return answers

    def _unrolled(self, row_2: np.ndarray, choice: int) -> NetworkAnswer:
        """The answer after an action or code."""
        answer = self._copied(self._network.infer_children(row_2[:1], row_2[1:], np.array([choice], np.int32)))
        row_2[:] = row_2[::-1].copy()
        return answer

    def _copied(self, answer_BC: np.ndarray) -> NetworkAnswer:
        """A copy, because the network's next answer may overwrite this one."""
        num_places = self._num_actions + self._num_codes
        return NetworkAnswer(*(part.copy() for part in parts(answer_BC, num_places)))


@torch.inference_mode()
def _unrolled_along_vectors(
    model: Model, observation_S: np.ndarray, vector_KD: Sequence[np.ndarray] | np.ndarray
) -> list[NetworkAnswer]:
    """The model's answers for one observation, and after each vector, which no state need have as a candidate."""
    state = model.represent(torch.from_numpy(observation_S[None]))
    outputs = [model.sampled_output(state, None)]
    for vector_D in vector_KD:
        reward, state = model.step(state, torch.from_numpy(vector_D[None]))
        outputs.append(model.sampled_output(state, reward))
    return [
        NetworkAnswer(
            model.reward(output).numpy(),
            model.value(output).numpy(),
            output.policy_logits_BA[:, : model.num_places].numpy(),
        )
        for output in outputs
    ]


def _warn(line: str) -> None:
    warnings.warn(line, DeviceWarning, stacklevel=1)  # from one place, so that Python shows it once for all planners


def _never() -> bool:
    return False


def _clock(seconds: float) -> IsOver:
    """Tells whether so many seconds have passed since this call."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() >= deadline
