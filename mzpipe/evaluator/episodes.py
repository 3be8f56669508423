"""Evaluation episodes with one planner: a fixed number of whole games, the same share on every tree.

A fixed share per tree keeps short games from crowding out long ones, as they
would under a "first N to finish" rule. Moves are greedy.

Shape legend    G games in parallel
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..config import GREEDY, EvaluatorConfig, GameConfig, Profile, score_protocol
from ..errors import ConfigError
from ..games import FrameStack, Game, GameSpec, StepResult, has_protocols
from ..games.endless import endless_note
from ..own_code import check_permission
from ..planning import Planner, played_actions

_GREEDY_PLAY = "greedy actions without root noise, true rewards, whole games"
_EMULATOR = ("frame_skip", "max_pool", "sticky_actions", "noop_max", "max_episode_frames", "full_action_space")
_ENGINE = ("opponent_command", "opponent_setup", "opponent_simulations")
_MAX_TREES = 32


def evaluation_trees(config: EvaluatorConfig) -> int:
    """The number of games that an evaluation plays in parallel."""
    return min(config.episodes, _MAX_TREES)


def check_opponent(config: EvaluatorConfig, game: GameSpec) -> None:
    """Raises ConfigError if the opponent cannot play the two-player game, or if the program of an engine cannot run."""
    said, command = f"evaluator.opponent={config.opponent!r}", config.opponent_command
    if game.num_players == 2 and config.opponent not in game.opponents:
        raise ConfigError(f"{said}: {game.name} can be played against {', '.join(game.opponents)} only")
    if (config.opponent == "engine") != bool(command):
        raise ConfigError(
            f"{said} with evaluator.opponent_command={list(command)}: an engine needs a command, and only an engine "
            "has one"
        )
    if command:
        check_permission("evaluator.opponent_command", command[0], does="runs a program")
        if shutil.which(command[0]) is None:
            raise ConfigError(f"evaluator.opponent_command={command[0]!r}: there is no such program")


def match_protocol(profile: Profile, num_players: int) -> str:
    """The protocol name to store with a score: the game's protocol, or one that names the agent's opponent."""
    if num_players == 1:
        return score_protocol(profile.game)
    opponent = profile.evaluator.opponent
    command = profile.evaluator.opponent_command
    program = f"-{Path(command[0]).name}" if command else ""
    strength = f"-{profile.evaluator.opponent_simulations}" if opponent == "rollouts" else ""
    return f"{GREEDY}-versus-{opponent}{program}{strength}"


def protocol_settings(profile: Profile, num_players: int) -> dict[str, Any]:
    """Every setting of evaluation games; includes the emulator's for Atari games, and the opponent if there is one."""
    game = profile.game
    settings: dict[str, Any] = {"play": _GREEDY_PLAY} | _emulator_settings(game)
    if game.max_episode_moves:
        settings["max_episode_moves"] = game.max_episode_moves
    if num_players == 2:
        settings["opponent"] = profile.evaluator.opponent
        if profile.evaluator.opponent == "rollouts":
            settings["opponent_simulations"] = profile.evaluator.opponent_simulations
        if profile.evaluator.opponent == "engine":
            settings |= {name: getattr(profile.evaluator, name) for name in _ENGINE}
    return settings


def _emulator_settings(game: GameConfig) -> dict[str, Any]:
    return {name: getattr(game.atari, name) for name in _EMULATOR} if has_protocols(game) else {}


class EpisodeResults(NamedTuple):
    """True returns of whole episodes, and their numbers of moves."""

    returns: list[float]
    lengths: list[int]


class EvaluationGames:
    """Games of an evaluation: call `begin`, then `do_work` until `finished`, then read `results`.

    Searches positions of all games at once and plays the best actions; subclasses define `_ask` and `_play`.
    """

    results: EpisodeResults
    # The number of games to play; 0 if it is unknown before they are played.
    num_episodes = 0
    # The line about an episode that seems to have no end.
    endless: str | None = None

    def __init__(self, game: Game, planner: Planner) -> None:
        self._game, self._planner = game, planner
        self._stack = FrameStack(game.spec, game.num_games)
        self._moves = 0
        self.finished = True

    def begin(self) -> None:
        """Starts every game anew."""
        raise NotImplementedError

    def close(self) -> None:
        """Frees what the games need besides the game and the planner."""

    def give_up(self) -> None:
        """Ends the evaluation without a result."""
        self.finished = True

    def do_work(self) -> int:
        """Begins a search, or takes an answer; never waits."""
        if self._planner.idle:
            self._ask()
            return 1
        if not self._planner.answered:
            return 0
        if self._planner.advance() is not None:
            self._play(self._planner.best_action())
        return 1

    def take_moves(self) -> int:
        """Moves played since the last call, over all games."""
        moves, self._moves = self._moves, 0
        return moves

    def _ask(self) -> None:
        """Begins the search of every game's position."""
        self._stack.write(self._planner.observation)
        self._planner.begin(self._game.legal_actions(), self._game)

    def _play(self, action_G: np.ndarray) -> None:
        """Plays the agent's moves."""
        raise NotImplementedError


class Episodes(EvaluationGames):
    """Plays `episodes` games: `begin`, then `do_work` until `finished`."""

    def __init__(self, game: Game, planner: Planner, episodes: int) -> None:
        super().__init__(game, planner)
        self.num_episodes = episodes
        trees = game.num_games
        self._share_G = np.full(trees, episodes // trees) + (np.arange(trees) < episodes % trees)

    def begin(self) -> None:
        """Starts every game anew."""
        trees = self._game.num_games
        self._left_G = self._share_G.copy()
        self._return_G, self._length_G = np.zeros(trees), np.zeros(trees, np.int64)
        self.results = EpisodeResults([], [])
        self._stack.reset(self._game.reset(), None)
        self.finished = False

    def _count(self, step: StepResult, reward_G: np.ndarray, mask_G: np.ndarray) -> np.ndarray:
        """Adds one step of the masked games to their episodes, with the agent's rewards; returns which games ended."""
        self._return_G += reward_G
        self._length_G += mask_G
        if self.endless is None:
            self.endless = endless_note(int(self._length_G.max()), max(self.results.lengths, default=0))
        self._moves += int(mask_G.sum())
        self._stack.push(step.frame_BF, mask_G)
        ended_G = step.terminated_B | step.truncated_B
        if ended_G.any():
            self._end(ended_G)
        return ended_G

    def _end(self, ended_G: np.ndarray) -> None:
        for game in np.flatnonzero(ended_G & (self._left_G > 0)):
            self.results.returns.append(float(self._return_G[game]))
            self.results.lengths.append(int(self._length_G[game]))
        self._left_G -= ended_G & (self._left_G > 0)
        self._return_G[ended_G] = 0.0
        self._length_G[ended_G] = 0
        self._stack.reset(self._game.reset(ended_G), ended_G)
        self.finished = not (self._left_G > 0).any()


class GreedyEpisodes(Episodes):
    """Games of one player."""

    def _play(self, action_G: np.ndarray) -> None:
        step = self._game.step(played_actions(self._planner, action_G))
        self._count(step, step.reward_B, np.ones(len(action_G), np.bool_))
