"""A trained agent for a user's own script; it plays greedily: no root noise, the search's best action.

Shape legend    A actions   F... one frame   S... one stacked observation
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ..games import FrameStack, GameSpec, describe_outside
from ..search import SearchedTree
from .direct import DirectPlanner
from .observations import BoardHistory, as_frame, as_legal_actions, with_action_plane
from .trained import TrainedAgent, load_trained

if TYPE_CHECKING:
    from ..games.gymnasium_family import Outside


class Decision(NamedTuple):
    """The result of one move's search; the arrays belong to the caller and have one entry per action."""

    # The action as the environment's own step takes it.
    action: int | np.ndarray
    # The action's entry in the arrays.
    action_index: int
    # The root's value after the search, for the player to move.
    value: float
    # The network's own value of the root.
    network_value: float
    # Shares of the visits (pUCT) or the improved policy (Gumbel): the policy target in training. float32 [A].
    search_policy: np.ndarray
    # Simulations through each action, int32 [A].
    visits: np.ndarray
    # reward + discount * value of each action, float32 [A]: 0 where unvisited.
    q: np.ndarray
    # The network's policy over the legal actions, float32 [A].
    prior: np.ndarray
    # The actions that the search could choose, bool [A].
    legal_actions: np.ndarray


class Player:
    """Plays from one checkpoint of a run: `act` along an episode of any environment, `move` on a board."""

    def __init__(self, agent: TrainedAgent) -> None:
        self.agent = agent
        self.config = agent.search
        self.search = DirectPlanner(agent, self.config, num_trees=1)
        self._stack = FrameStack(agent.game, 1)
        self._has_planes = agent.profile.game.action_planes
        self._seen = _without_plane(agent.game) if self._has_planes else agent.game
        self._history: BoardHistory | None = None
        self.reset()

    @classmethod
    def load(cls, run: str | Path, checkpoint: str | None = "latest", num_simulations: int | None = None) -> Self:
        """The agent of a run directory; `checkpoint` is `latest`, `best` or a checkpoint's name (None: best if any).

        num_simulations None searches with the number of simulations of the run's evaluations.
        Raises UsageError for a directory without a run, ConfigError for num_simulations out of range, CheckpointError
        for a checkpoint that is missing, damaged or of another game or model, DeviceError for a device, a runtime or a
        precision that the profile names and this machine lacks.
        """
        return cls(load_trained(run, checkpoint, num_simulations))

    @property
    def game(self) -> GameSpec:
        """The game that the agent was trained on."""
        return self.agent.game

    def reset(self) -> None:
        """Forgets the observations so far: the next one is the first of an episode."""
        self._last_action: int | None = None

    def act(self, observation: Any, legal_actions: Any = None) -> Decision:
        """The move at one observation, unstacked as the environment gives it: the player stacks what it has seen.

        An observation of the environment's space becomes a frame as in training; observations.as_frame says which
        others are accepted. legal_actions is a mask, bool [A], or the masks of an action's parts, joined; None: the
        observation's own `action_mask` if it has one, else all actions. The player assumes that the chosen action is
        played, and adds action planes itself where the run has them.
        Raises UsageError for a wrong shape or kind, and where no action is legal; it then ignores the observation.
        """
        frame_F = self._frame(observation)
        if legal_actions is None and self._outside is not None:
            legal_actions = self._outside.mask(observation)
        legal_A = as_legal_actions(legal_actions, self.game)
        if self._has_planes:
            frame_F = with_action_plane(frame_F, self._seen, self._last_action)
        if self._last_action is None:
            self._stack.reset(frame_F[None])
        else:
            self._stack.push(frame_F[None])
        decision = self.decide(self._stack.view(), legal_A[None])
        self._last_action = decision.action_index
        return decision

    def move(self, history: Sequence[int]) -> int:
        """Board games: the action after these actions of both players from the initial position.

        Raises UsageError for a game of one player or of random initial positions, for an action of the history that is
        illegal or not one of the game's, and for a history after which the game is over.
        """
        return self.consider(history).action_index

    def consider(self, history: Sequence[int]) -> Decision:
        """The same move as `move`, with all that the search found."""
        if self._history is None:
            self._history = BoardHistory(self.agent.profile.game)
        return self.decide(*self._history.replay(history))

    def decide(self, observation_1S: np.ndarray, legal_1A: np.ndarray) -> Decision:
        """The move at one stacked observation, independent of what `act` has seen."""
        (visits_A,), (value,), (q_A,), (policy_A,) = self.search.search(observation_1S, legal_1A)
        tree, index = self.tree(), int(self.search.best_action()[0])
        return Decision(
            action=self._own_action(index),
            action_index=index,
            value=float(value),
            network_value=float(tree.raw_value_K[0]),
            search_policy=policy_A,
            visits=visits_A,
            q=q_A,
            prior=tree.root_prior_A,
            legal_actions=legal_1A[0].copy(),
        )

    def _own_action(self, index: int) -> int | np.ndarray:
        """The action as the environment's own step takes it, of the last search's where they are vectors."""
        numbers, candidates_BAD = self.game.action_numbers, self.search.candidates_BAD
        if numbers is None or candidates_BAD is None:
            return self.game.own_action(index)
        return numbers.action(candidates_BAD[0, index])

    @cached_property
    def _outside(self) -> "Outside | None":
        """How observations of the caller's environment are understood; None where there is none to compare with."""
        return describe_outside(self.agent.profile.game)

    def _frame(self, observation: Any) -> np.ndarray:
        """The frame of one observation, without an action plane."""
        frame_F = None if self._outside is None else self._outside.frame(observation)
        return as_frame(observation, self._seen) if frame_F is None else frame_F

    def tree(self) -> SearchedTree:
        """The tree of the last move."""
        return self.search.tree()

    def close(self) -> None:
        """Frees the game that `move` replays; safe to call twice."""
        if self._history is not None:
            self._history.close()
            self._history = None


def _without_plane(spec: GameSpec) -> GameSpec:
    """The spec of the environment's own frames, without the plane of actions."""
    channels, *sides = spec.frame_shape
    return dataclasses.replace(spec, frame_shape=(channels - 1, *sides))
