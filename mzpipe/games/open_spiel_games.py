"""Any game of OpenSpiel for two players, without chance and hidden information, by its name there.

A frame is OpenSpiel's observation for the player to move, as float32, and one more plane (or number) that is 1 while
the player who began is not to move. The outcome is the reward of the move that ends the game, for the player who made
it.

Players move in turn. Where OpenSpiel lets one player move again, as after a capture, the other one passes: the pass is
one more action, and then the only legal one.
"""

import numpy as np
import pyspiel
from numpy.typing import NDArray

from ..config import GameConfig
from ..errors import ConfigError
from .board import BoardGame
from .board_rules import BoardRules
from .game import GameSpec

PREFIX = "OpenSpiel/"
_KIND = pyspiel.GameType


class OpenSpielGame(BoardGame):
    """B games of the rules that follow `OpenSpiel/` in `game.name`, as in `OpenSpiel/breakthrough(rows=6,columns=6)`.

    Raises ConfigError for games that are unknown, or of another kind.
    """

    def _load(self, config: GameConfig) -> pyspiel.Game:
        self._rules = BoardRules()
        return _load(config.name)

    def _make_spec(self, config: GameConfig) -> GameSpec:
        *shape, first = self.rules.observation_tensor_shape()[::-1]
        self._tensor_shape = (first, *reversed(shape))
        if len(self._tensor_shape) == 2:
            self._tensor_shape = (1, *self._tensor_shape)
        # Passes are moves too, and OpenSpiel does not count them.
        self._move_limit = config.max_episode_moves or 2 * self.rules.max_game_length()
        self._pass = self.rules.num_distinct_actions()
        self._first_player = self.rules.new_initial_state().current_player()
        self._to_play_B = np.zeros(self.num_games, np.int8)
        self._histories: list[list[int]] = [[] for _ in range(self.num_games)]
        frame_shape = (self._tensor_shape[0] + 1, *self._tensor_shape[1:])
        return GameSpec(
            name=config.name,
            description=(
                f"{config.name}: {'x'.join(map(str, frame_shape))} float32 values, stack {config.frame_stack}, "
                f"{self._pass} actions and a pass, 2 players, cap {self._move_limit} moves"
            ),
            frame_shape=frame_shape,
            frame_dtype="float32",
            frame_stack=config.frame_stack,
            num_actions=self._pass + 1,
            num_players=2,
            opponents=("random", "rollouts"),
            has_outcome=(self.rules.min_utility(), self.rules.max_utility()) == (-1.0, 1.0),
        )

    def to_play(self) -> NDArray[np.int8]:
        """0 if the player who began moves next, else 1, [B]."""
        return self._to_play_B.copy()

    def history(self, game: int) -> list[int]:
        """The actions of both players since the initial position, passes included."""
        return list(self._histories[game])

    def forced(self, game: int) -> int | None:
        """The pass, where it is the only action."""
        return self._pass if self._legal_BA[game, self._pass] else None

    def render(self) -> None:  # type: ignore[override]
        """OpenSpiel draws no pictures."""

    def action_names(self) -> tuple[str, ...]:
        """Names depend on the position."""
        return ()

    def _play(self, game: int, action: int) -> tuple[float, bool, bool]:
        state = self.states[game]
        self._to_play_B[game] = 1 - self._to_play_B[game]
        self._histories[game].append(action)
        player = state.current_player()
        if action != self._pass:
            state.apply_action(action)
        self._look(game)
        if state.is_terminal():
            return state.returns()[player], True, False
        return 0.0, False, len(self._histories[game]) >= self._move_limit

    def _look(self, game: int) -> None:
        state, frame_F = self.states[game], self._frame_BF[game]
        if state.move_number() == 0:
            self._to_play_B[game], self._histories[game] = 0, []
        seat = int(self._to_play_B[game])
        player = seat ^ self._first_player
        frame_F[:-1] = np.reshape(state.observation_tensor(player), self._tensor_shape)
        frame_F[-1] = seat
        self._legal_BA[game] = False
        if state.is_terminal():
            return
        self._legal_BA[game, state.legal_actions() if state.current_player() == player else self._pass] = True


def _load(name: str) -> pyspiel.Game:
    try:
        rules = pyspiel.load_game(name.removeprefix(PREFIX))
        rules.new_initial_state()
    except pyspiel.SpielError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"game.name={name!r}: OpenSpiel refuses it: {reason[:300]}") from None
    kind = rules.get_type()
    faults = {
        "it has chance": kind.chance_mode != _KIND.ChanceMode.DETERMINISTIC,
        "players do not move in turn": kind.dynamics != _KIND.Dynamics.SEQUENTIAL,
        "players do not see everything": kind.information != _KIND.Information.PERFECT_INFORMATION,
        f"it has {rules.num_players()} players": rules.num_players() != 2,
        "one player's gain is not the other's loss": kind.utility != _KIND.Utility.ZERO_SUM,
        "it rewards before its end": kind.reward_model != _KIND.RewardModel.TERMINAL,
        "it has no observation as numbers": not kind.provides_observation_tensor,
    }
    wrong = [fault for fault, is_so in faults.items() if is_so]
    if wrong:
        raise ConfigError(f"game.name={name!r}: {', '.join(wrong)}: mzpipe cannot play it")
    return rules
