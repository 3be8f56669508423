"""A lane's games: searches a move of all of them, plays it, records it and begins the next.

Shape legend    G games of the lane   A actions
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from ..games import FrameStack, Game
from ..ipc.schema import Steps
from ..ipc.stages import Stage, StageClock
from ..planning import LanePlanner, played_actions
from ..search import SearchResult
from .recorder import Recorder
from .resignation import Resignation

_GREEDY = 0.0
# The value of a resigned game for the player whose turn it would be.
_WON = np.float32(1.0)


class Played(NamedTuple):
    """Counts of one played move."""

    moves: int
    episodes: int
    returns: float
    lengths: int
    simulations: int


class PlayoutCaps(NamedTuple):
    """Playout cap randomisation: a move has a full search with this probability, else one of this planner's.

    (KataGo; Wu 2019, section 3.1.) All games of a lane have the same draw in a move, because one search serves them.
    """

    fast: LanePlanner
    full_fraction: float


class LaneGroup:
    """Games that move in lockstep over one lane; every call of the games' own code is made inside `in_game`."""

    def __init__(
        self,
        game: Game,
        planner: LanePlanner,
        recorder: Recorder,
        clock: StageClock,
        in_game: AbstractContextManager[None],
        *,
        discount: float,
        temperature_moves: int,
        rng: np.random.Generator,
        caps: PlayoutCaps | None = None,
        resignation: Resignation | None = None,
    ) -> None:
        self._game, self._recorder, self._clock = game, recorder, clock
        self._full, self._caps, self._resignation = planner, caps, resignation
        self._planner = planner  # that of the move under way
        self._in_game = in_game
        self._begun_ns = 0
        self._discount, self._rng = discount, rng
        self._temperature_moves = temperature_moves or np.iinfo(np.int64).max
        self._stack = FrameStack(game.spec, game.num_games)
        self._return_G = np.zeros(game.num_games)
        self._length_G = np.zeros(game.num_games, np.int64)
        self.longest_ended = 0  # moves of the longest episode that has ended
        self._frames: np.ndarray | None = None
        # What `still_moves` has seen: frames, returns, and how many moves there were.
        self._seen: tuple[np.ndarray, np.ndarray, int] = (np.zeros(0), np.zeros(0), 0)

    def longest_now(self) -> int:
        """Moves so far of the longest episode under way."""
        return int(self._length_G.max())

    def still_moves(self) -> int:
        """For how many moves every game has shown one frame and had one return, at each call, without an end.

        What games show between two calls is not compared.
        """
        if self._frames is None:
            return 0
        frames, return_G, moves = self._seen
        now = int(self._length_G.min())
        if now < moves or not (np.array_equal(frames, self._frames) and np.array_equal(return_G, self._return_G)):
            self._seen, moves = (self._frames, self._return_G.copy(), now), now
        return now - moves

    def blocked(self) -> bool:
        """Whether records wait for room in the ring."""
        waiting = self._recorder.num_waiting
        if waiting == 0:
            return False
        flushed = self._recorder.flush()
        if self._recorder.num_waiting < waiting:
            self._clock.end(Stage.TRAJECTORY_WRITE, 0)
        return not flushed

    def hand_over(self) -> bool:
        """Hands over the moves played so far; returns False if the ring has no room for some of them."""
        return self._recorder.flush_unfinished()

    def begin(self) -> bool:
        """Begins the search of the next move if no search is running."""
        if not self._planner.idle:
            return False
        self._clock.skip()
        self._begun_ns = time.monotonic_ns()
        with self._in_game:
            if self._frames is None:
                self._frames = self._game.reset()
                self._stack.reset(self._frames, None)
            self._legal_actions = self._game.legal_actions()
            self._to_play = self._game.to_play()
        self._planner = self._drawn()
        self._stack.write(self._planner.observation)
        self._planner.begin(self._legal_actions, self._game)
        self._clock.add(Stage.ROOT_SEARCH, 0)
        return True

    def _drawn(self) -> LanePlanner:
        """The planner of the next move."""
        if self._caps is None or self._rng.random() < self._caps.full_fraction:
            return self._full
        return self._caps.fast

    def answered(self) -> bool:
        """Whether `advance` has something to do."""
        return self._planner.answered

    def advance(self, temperature: Callable[[], float]) -> Played | None:
        """Takes one answer; if it completes the search, plays a move in every game at this temperature."""
        result = self._planner.advance()
        self._clock.end(Stage.TREE, self._game.num_games)
        return None if result is None else self._play(result, temperature())

    def _play(self, result: SearchResult, temperature: float) -> Played:
        assert self._frames is not None
        temperature_G = np.where(self._length_G < self._temperature_moves, temperature, _GREEDY)
        action_G = self._planner.choose(result, temperature_G, self._rng)
        self._clock.add(Stage.ROOT_SEARCH, len(action_G))
        self._clock.took(Stage.ROOT_SEARCH, time.monotonic_ns() - self._begun_ns)
        played_G = played_actions(self._planner, action_G)
        with self._in_game:
            step = self._game.step(played_G)
        self._clock.end(Stage.ENV_STEP, len(action_G))
        policy_GA = result.search_policy_BA
        steps = Steps(
            action=action_G,
            reward=step.reward_B,
            to_play=self._to_play,
            legal_actions=self._legal_actions,
            search_policy=policy_GA if self._planner is self._full else np.zeros_like(policy_GA),
            root_value=result.root_value_B,
            weights_version=np.full(len(action_G), self._planner.weights_version),
            vectors=self._vectors(played_G),
        )
        next_value_G = self._next_values(result, action_G, step.reward_B)
        if self._resignation is not None:
            step, resigned_G = self._resignation.judge(step, result.root_value_B, self._to_play)
            next_value_G = np.where(resigned_G, _WON, next_value_G)
        self._recorder.add(self._frames, steps, step.terminated_B, step.truncated_B, next_value_G)
        self._clock.end(Stage.TRAJECTORY_WRITE, len(action_G))
        played = self._finish_episodes(step.frame_BF, step.reward_B, step.terminated_B | step.truncated_B)
        self._clock.add(Stage.ENV_STEP, 0)  # stacks, and games that are reset
        return played

    def _vectors(self, played_G: np.ndarray) -> np.ndarray | None:
        """The action of each game, then its candidates; None where actions are a list."""
        candidates_GAD = self._planner.candidates_BAD
        if candidates_GAD is None:
            return None
        return np.concatenate([played_G, candidates_GAD.reshape(len(played_G), -1)], axis=1)

    def _next_values(self, result: SearchResult, action_G: np.ndarray, reward_G: np.ndarray) -> np.ndarray:
        """The search's own estimate of the next states' values: Q(s, a) = r + discount * V(s')."""
        if self._discount == 0.0:
            return np.zeros(len(action_G), np.float32)
        q_G = result.q_BA[np.arange(len(action_G)), action_G]
        return (q_G - reward_G) / np.float32(self._discount)

    def _finish_episodes(self, frames: np.ndarray, reward_G: np.ndarray, ended_G: np.ndarray) -> Played:
        self._return_G += reward_G
        self._length_G += 1
        self._stack.push(frames)
        played = Played(
            moves=len(ended_G),
            episodes=int(ended_G.sum()),
            returns=float(self._return_G[ended_G].sum()),
            lengths=int(self._length_G[ended_G].sum()),
            simulations=len(ended_G) * self._planner.num_simulations,
        )
        if played.episodes:
            self.longest_ended = max(self.longest_ended, int(self._length_G[ended_G].max()))
            with self._in_game:
                frames = self._game.reset(ended_G)
            self._stack.reset(frames, ended_G)
            self._return_G[ended_G] = 0.0
            self._length_G[ended_G] = 0
        self._frames = frames
        return played
