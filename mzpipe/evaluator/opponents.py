"""Opponents for an agent's evaluation games."""

from collections.abc import Callable

import numpy as np
import pyspiel

from ..config import EvaluatorConfig, GameConfig
from ..games import TwoPlayerGame
from ..games.board import BoardGame
from ..games.notation.position import Position
from .engines.own_program import EngineProgram
from .engines.protocols import EngineProtocol, make_protocol, name_of

# OpenSpiel's own examples explore with 2; its memory limit is per search.
_UCT_C = 2.0
_MEMORY_MB = 256


class Opponent:
    """Chooses the moves of the agent's opponents."""

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """A legal action for the player to move in that game."""
        raise NotImplementedError

    def close(self) -> None:
        """Frees what the opponent holds; it can go on afterwards."""


class RandomOpponent(Opponent):
    """Draws legal actions."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """A legal action, drawn uniformly."""
        return int(self._rng.choice(np.flatnonzero(games.legal_actions()[game])))


class RolloutOpponent(Opponent):
    """OpenSpiel's tree search (UCT) that values a position by one random playout."""

    def __init__(self, simulations: int, seed: int) -> None:
        self._simulations, self._seed = simulations, seed
        self._bot: pyspiel.MCTSBot | None = None

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """The most visited action; ties are broken at random."""
        assert isinstance(games, BoardGame)
        if (forced := games.forced(game)) is not None:
            return forced
        if self._bot is None:
            playouts = pyspiel.RandomRolloutEvaluator(1, self._seed)
            self._bot = pyspiel.MCTSBot(
                games.rules, playouts, _UCT_C, self._simulations, _MEMORY_MB, True, self._seed, False
            )
        return self._bot.step(games.states[game])


class PerfectOpponent(Opponent):
    """Draws one of the actions with the best outcome against perfect play."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._outcomes: dict[str, float] = {}

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """One of the best actions."""
        assert isinstance(games, BoardGame)
        state = games.states[game]
        actions = state.legal_actions()
        outcome_A = np.array([self._outcome_after(state, action) for action in actions])
        return int(self._rng.choice(np.array(actions)[outcome_A == outcome_A.max()]))

    def _outcome_after(self, state: pyspiel.State, action: int) -> float:
        """The outcome of an action for the player who takes it, under perfect play (negamax)."""
        child = state.child(action)
        if child.is_terminal():
            return child.returns()[state.current_player()]
        position = str(child)
        if position not in self._outcomes:
            self._outcomes[position] = max(self._outcome_after(child, reply) for reply in child.legal_actions())
        return -self._outcomes[position]


class EngineOpponent(Opponent):
    """Another engine; it is started before its first move, and again after `close`."""

    def __init__(self, config: EvaluatorConfig, game: GameConfig) -> None:
        self._config, self._game = config, game
        self._positions: dict[int, Position] = {}
        self._program: EngineProgram | None = None
        self._protocol: EngineProtocol | None = None

    def choose(self, games: TwoPlayerGame, game: int) -> int:
        """The engine's move; raises OpponentError if it crashes, hangs or answers what the rules do not allow."""
        assert isinstance(games, BoardGame)
        position = self._followed(game, games.history(game))
        legal = {name_of(move, position): move for move in position.legal()}
        played = [name_of(move, position) for move in position.played]
        return self._asked(position).choose(played, legal).action

    def close(self) -> None:
        """Ends the engine."""
        program, self._program, self._protocol = self._program, None, None
        if program is not None:
            program.close()

    def _asked(self, position: Position) -> EngineProtocol:
        if self._protocol is None:
            config = self._config
            self._program = EngineProgram(config.opponent_command, config.opponent_seconds)
            protocol = make_protocol(self._game.name, self._program, config.opponent_simulations)
            protocol.introduce(self._game, config.opponent_setup, position.board().rows)
            self._protocol = protocol
        return self._protocol

    def _followed(self, game: int, history: list[int]) -> Position:
        """The position of a game after `history`."""
        position = self._positions.setdefault(game, Position(self._game))
        played = position.history
        if played != history[: len(played)]:
            position.restart()
        for action in history[len(position.played) :]:
            position.advance(next(move for move in position.legal() if move.action == action))
        return position


def make_opponent(config: EvaluatorConfig, game: GameConfig, seed: int) -> Opponent:
    """The profile's opponent, which must be one of the game's (GameSpec.opponents)."""
    makers: dict[str, Callable[[], Opponent]] = {
        "random": lambda: RandomOpponent(seed),
        "rollouts": lambda: RolloutOpponent(config.opponent_simulations, seed),
        "perfect": lambda: PerfectOpponent(seed),
        "engine": lambda: EngineOpponent(config, game),
    }
    return makers[config.opponent]()
