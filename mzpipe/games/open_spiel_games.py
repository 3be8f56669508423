"""Any game of OpenSpiel for one or two players, without hidden information, by its name there.

A frame is what `open_spiel_views` shows while a player is to move, as float32; with two players there is one more plane
(or number), that player's number in OpenSpiel. The reward of a move is what the player's returns grow by, until the
next decision: of two players the outcome, at the end.

Two players move in turn. Where OpenSpiel lets one player move again, as after a capture, the other one passes: the pass
is one more action, and then the only legal one.

Chance plays at once, after a move and before the first one, each game with draws of its own; it may say who begins.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pyspiel
from numpy.typing import NDArray

from ..config import GameConfig
from ..errors import ConfigError
from .board import BoardGame, BoardPosition
from .board_rules import BoardRules
from .game import GameSpec, game_seeds
from .open_spiel_views import view_of

PREFIX = "OpenSpiel/"
_KIND = pyspiel.GameType


class _Position(NamedTuple):
    """A position of a game that has not ended, with what OpenSpiel does not count."""

    of_board: BoardPosition
    first_player: int
    to_play: int
    history: tuple[int, ...]


class OpenSpielGame(BoardGame):
    """B games of the rules that follow `OpenSpiel/` in `game.name`, as in `OpenSpiel/breakthrough(rows=6,columns=6)`.

    `seed` drives chance. Raises ConfigError for games that are unknown, or of another kind.
    """

    def __init__(self, config: GameConfig, num_games: int, seed: int) -> None:
        super().__init__(config, num_games)
        self._chance_B = [np.random.default_rng(each) for each in game_seeds(seed, num_games)]

    def _load(self, config: GameConfig) -> pyspiel.Game:
        self._rules = BoardRules()
        return _load(config.name)

    def _make_spec(self, config: GameConfig) -> GameSpec:
        self._view = view_of(self.rules)
        players, num_actions = self.rules.num_players(), self.rules.num_distinct_actions()
        # Passes are moves too, and OpenSpiel does not count them.
        self._move_limit = config.max_episode_moves or players * self.rules.max_game_length()
        self._pass = num_actions if players == 2 else None
        self._first_player_B, self._to_play_B = np.zeros((2, self.num_games), np.int8)
        self._histories: list[list[int]] = [[] for _ in range(self.num_games)]
        planes, *sides = self._view.shape
        frame_shape = (planes + players - 1, *sides)
        has_chance = self.rules.get_type().chance_mode != _KIND.ChanceMode.DETERMINISTIC
        return GameSpec(
            name=config.name,
            description=(
                f"{config.name}: {'x'.join(map(str, frame_shape))} float32 values, stack {config.frame_stack}, "
                f"{num_actions} actions{' and a pass, 2 players' if players == 2 else ''}"
                f"{', chance' if has_chance else ''}, cap {self._move_limit} moves"
            ),
            frame_shape=frame_shape,
            frame_dtype="float32",
            frame_stack=config.frame_stack,
            num_actions=num_actions + players - 1,
            num_players=players,
            opponents=("random", "rollouts") if players == 2 else (),
            has_chance=has_chance,
            has_positions=players == 2 and not has_chance,
            symmetries=self._view.symmetries,
            max_moves=self._move_limit,
            has_outcome=players == 2 and (self.rules.min_utility(), self.rules.max_utility()) == (-1.0, 1.0),
        )

    def to_play(self) -> NDArray[np.int8]:
        """0 if the player who began moves next, else 1, [B]."""
        return self._to_play_B.copy()

    def history(self, game: int) -> list[int]:
        """The actions of both players since the initial position, passes included."""
        return list(self._histories[game])

    def position(self, game: int) -> _Position:  # type: ignore[override]
        """The position of a live game, passes included."""
        seats = int(self._first_player_B[game]), int(self._to_play_B[game])
        return _Position(super().position(game), *seats, tuple(self._histories[game]))

    def put(self, positions: Mapping[int, _Position]) -> None:  # type: ignore[override]
        """Brings each of these games to a position."""
        super().put({game: position.of_board for game, position in positions.items()})
        for game, position in positions.items():
            self._first_player_B[game], self._to_play_B[game] = position.first_player, position.to_play
            self._histories[game] = list(position.history)

    def replay(self, histories: Mapping[int, Iterable[int]]) -> None:
        """Brings each of these games to the position after these actions, passes included."""
        self._frame_BF, self._legal_BA = self._frame_BF.copy(), self._legal_BA.copy()
        self._live_B = self._live_B.copy()
        for game, history in histories.items():
            self.states[game], self._live_B[game] = self.rules.new_initial_state(), True
            self._look(game)
            for action in history:
                self._play(game, int(action))

    def forced(self, game: int) -> int | None:
        """The pass, where it is the only action."""
        return self._pass if self._pass is not None and self._legal_BA[game, self._pass] else None

    def render(self) -> None:  # type: ignore[override]
        """OpenSpiel draws no pictures."""

    def action_names(self) -> tuple[str, ...]:
        """Names depend on the position."""
        return ()

    def _play(self, game: int, action: int) -> tuple[float, bool, bool]:
        state = self.states[game]
        if self._pass is not None:
            self._to_play_B[game] = 1 - self._to_play_B[game]
        self._histories[game].append(action)
        player = state.current_player()
        before = state.returns()[player]
        if action != self._pass:
            state.apply_action(action)
            self._let_chance_play(game)
        self._look(game)
        reward = state.returns()[player] - before
        if state.is_terminal():
            return reward, True, False
        return reward, False, len(self._histories[game]) >= self._move_limit

    def _look(self, game: int) -> None:
        state, frame_F = self.states[game], self._frame_BF[game]
        if state.move_number() == 0:
            self._to_play_B[game], self._histories[game] = 0, []
            self._let_chance_play(game)
            self._first_player_B[game] = state.current_player()
        player = int(self._to_play_B[game] ^ self._first_player_B[game])
        frame_F[: self._view.shape[0]] = self._view.observe(state, player)
        if self._pass is not None:
            frame_F[-1] = player
        self._legal_BA[game] = False
        if state.is_terminal():
            return
        self._legal_BA[game, state.legal_actions() if state.current_player() == player else self._pass] = True

    def _let_chance_play(self, game: int) -> None:
        """Draws outcomes until a player is to move, or the game is over."""
        state = self.states[game]
        while state.is_chance_node():
            outcomes, chances = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(int(self._chance_B[game].choice(outcomes, p=chances)))


def _load(name: str) -> pyspiel.Game:
    try:
        rules = pyspiel.load_game(name.removeprefix(PREFIX))
        rules.new_initial_state()
    except pyspiel.SpielError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"game.name={name!r}: OpenSpiel refuses it: {reason[:300]}") from None
    kind, players = rules.get_type(), rules.num_players()
    faults = {
        "OpenSpiel does not list what chance may do": kind.chance_mode == _KIND.ChanceMode.SAMPLED_STOCHASTIC,
        "players do not move in turn": kind.dynamics != _KIND.Dynamics.SEQUENTIAL,
        "players do not see everything": kind.information != _KIND.Information.PERFECT_INFORMATION,
        f"it has {players} players": players > 2,
        "one player's gain is not the other's loss": players == 2 and kind.utility != _KIND.Utility.ZERO_SUM,
        "it rewards before its end": players == 2 and kind.reward_model != _KIND.RewardModel.TERMINAL,
        "it has no observation as numbers": not kind.provides_observation_tensor,
    }
    wrong = [fault for fault, is_so in faults.items() if is_so]
    if wrong:
        raise ConfigError(f"game.name={name!r}: {', '.join(wrong)}: mzpipe cannot play it")
    return rules
