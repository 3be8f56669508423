"""A trained agent for a user's own script; it plays greedily: no root noise, the search's best action.

Shape legend    A actions   F... one frame   S... one stacked observation
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ..errors import UsageError
from ..games import FrameStack, Game, GameSpec, describe_outside
from ..search import SearchedTree
from .direct import DirectPlanner
from .observations import BoardHistory, as_frame, as_legal_actions, with_action_plane
from .searches import usual_leaves
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
    """Plays from one checkpoint of a run: `act` along an episode of any environment, `move` on a board.

    leaves: leaves of the tree in flight, 1 to the number of simulations; the network answers them in one call. None:
    one for every 50 simulations, 1 to 16, so that few simulations are searched one by one as in evaluations.
    seconds: the most a move may take, where a call gives no limit of its own; None: no limit. Simulations are then the
    most, at least one round of leaves is searched, and the move depends on the machine's speed.
    reuse: a search goes on from what the last one found below the moves played since; its simulations count.
    symmetries: what the network says of the position to move in is the mean over the game's symmetries.
    Raises UsageError for a number of leaves out of range, a limit that is not above 0, reuse with a Gumbel search, and
    symmetries of a game that declares none.
    """

    def __init__(
        self,
        agent: TrainedAgent,
        *,
        leaves: int | None = None,
        seconds: float | None = None,
        reuse: bool = False,
        symmetries: bool = False,
    ) -> None:
        self.agent = agent
        self.config = agent.search
        self.seconds = None if seconds is None else checked_seconds(seconds)
        if reuse and self.config.policy == "gumbel":
            raise UsageError("reuse: search.policy='gumbel' begins every search anew: leave it out")
        leaves = usual_leaves(self.config.num_simulations) if leaves is None else leaves
        options = {"keeps": reuse, "symmetries": symmetries}
        self.search = DirectPlanner(agent, self.config, num_trees=1, leaves=leaves, **options)
        self._stack = FrameStack(agent.game, 1)
        self._has_planes = agent.profile.game.action_planes
        self._seen = _without_plane(agent.game) if self._has_planes else agent.game
        self._history: BoardHistory | None = None
        # The actions before the position that `consider` searched last, and whether `act` made the last search.
        self._searched: list[int] | None = None
        self._acted = False
        self.reset()

    @classmethod
    def load(
        cls,
        run: str | Path,
        checkpoint: str | None = "latest",
        num_simulations: int | None = None,
        *,
        leaves: int | None = None,
        seconds: float | None = None,
        reuse: bool = False,
        symmetries: bool = False,
    ) -> Self:
        """The agent of a run directory; `checkpoint` is `latest`, `best` or a checkpoint's name (None: best if any).

        num_simulations None searches with the number of simulations of the run's evaluations; the others as Player
        takes them. Raises what Player raises, UsageError for a directory without a run, ConfigError for num_simulations
        out of range, CheckpointError for a checkpoint that is missing, damaged or of another game or model, DeviceError
        for a device, a runtime or a precision that the profile names and this machine lacks.
        """
        agent = load_trained(run, checkpoint, num_simulations)
        return cls(agent, leaves=leaves, seconds=seconds, reuse=reuse, symmetries=symmetries)

    @property
    def game(self) -> GameSpec:
        """The game that the agent was trained on."""
        return self.agent.game

    def reset(self) -> None:
        """Forgets the observations so far: the next one is the first of an episode."""
        self._last_action: int | None = None
        self._forget_search()

    def act(self, observation: Any, legal_actions: Any = None, *, seconds: float | None = None) -> Decision:
        """The move at one observation, unstacked as the environment gives it: the player stacks what it has seen.

        An observation of the environment's space becomes a frame as in training; observations.as_frame says which
        others are accepted. legal_actions is a mask, bool [A], or the masks of an action's parts, joined; None: the
        observation's own `action_mask` if it has one, else all actions. The player assumes that the chosen action is
        played, and adds action planes itself where the run has them. `seconds` limits this move.
        Raises UsageError for a wrong shape or kind, and where no action is legal; it then ignores the observation; and
        where `search.model` is "rules".
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
        # A player of two does not see the other one's move.
        last, follows = self._last_action, self._acted and self.game.num_players == 1
        after = [last] if last is not None and follows else None
        decision = self._decide(self._stack.view(), legal_A[None], seconds, after)
        self._last_action, self._acted = decision.action_index, True
        return decision

    def move(self, history: Sequence[int], *, seconds: float | None = None) -> int:
        """Board games: the action after these actions of both players from the initial position.

        Raises UsageError for a game of one player or of random initial positions, for an action of the history that is
        illegal or not one of the game's, and for a history after which the game is over.
        """
        return self.consider(history, seconds=seconds).action_index

    def consider(self, history: Sequence[int], *, seconds: float | None = None) -> Decision:
        """The same move as `move`, with all that the search found."""
        if self._history is None:
            self._history = BoardHistory(self.agent.profile.game)
        observation_1S, legal_1A = self._history.replay(history)
        actions = [int(action) for action in history]
        known = self._searched
        after = actions[len(known) :] if known is not None and actions[: len(known)] == known else None
        decision = self._decide(observation_1S, legal_1A, seconds, after, self._history.game)
        self._searched = actions
        return decision

    def decide(
        self,
        observation_1S: np.ndarray,
        legal_1A: np.ndarray,
        *,
        seconds: float | None = None,
        game: Game | None = None,
    ) -> Decision:
        """The move at one stacked observation, independent of what `act` has seen.

        Where `search.model` is "rules" the search begins at the position of `game`; without one it is a UsageError.
        """
        return self._decide(observation_1S, legal_1A, seconds, None, game)

    def _decide(
        self,
        observation_1S: np.ndarray,
        legal_1A: np.ndarray,
        seconds: float | None,
        after: list[int] | None,
        game: Game | None = None,
    ) -> Decision:
        """The move, after these actions since the last search; None: a search of another game or episode."""
        seconds = self.seconds if seconds is None else checked_seconds(seconds)
        self._forget_search()
        found = self.search.search(observation_1S, legal_1A, games=game, seconds=seconds, after=after)
        (visits_A,), (value,), (q_A,), (policy_A,) = found
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

    def _forget_search(self) -> None:
        """Says that the next search does not follow the last one."""
        self._searched, self._acted = None, False

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


def checked_seconds(seconds: float) -> float:
    """The limit itself; raises UsageError unless it is above 0, and a number."""
    if not seconds > 0.0:
        raise UsageError(f"seconds={seconds} must be more than 0: leave it out for no limit")
    return seconds


def _without_plane(spec: GameSpec) -> GameSpec:
    """The spec of the environment's own frames, without the plane of actions."""
    channels, *sides = spec.frame_shape
    return dataclasses.replace(spec, frame_shape=(channels - 1, *sides))
