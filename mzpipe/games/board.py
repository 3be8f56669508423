"""Two-player board games by OpenSpiel's rules.

A frame shows the board to the player who moves next: its planes are 255 at each
stone, which a network sees as 1. If both players have the same aim (`symmetric`),
the planes hold the stones of the player to move, then the opponent's; else the
first player's, then the second's. One more plane is 255 while the second player
moves. Games with pieces (chess, shogi) keep all of OpenSpiel's planes; a counter x
in [0, 1] becomes round(255 * x).

The outcome is the reward of the move that ends the game, for the player who
made it: 1 won, 0 drawn, -1 lost. Earlier rewards are 0.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pyspiel
from numpy.typing import NDArray

from ..config import GameConfig
from ..errors import ConfigError
from .board_picture import draw_pieces, draw_stones
from .board_rules import BOARDS, load_parameters
from .game import GameSpec, StepResult
from .live import LiveGames
from .symmetries import board_symmetries

_SET = 255
# A game of at most this many moves has few enough positions to know the outcome of each.
_LONGEST_SOLVED = 9


class BoardPosition(NamedTuple):
    """A position of a game that has not ended; nobody changes what it holds."""

    state: pyspiel.State
    legal_A: NDArray[np.bool_]


class BoardGame(LiveGames):
    """B games of one kind; the rules have no chance, so there is no seed."""

    def __init__(self, config: GameConfig, num_games: int) -> None:
        super().__init__(num_games)
        self.rules = self._load(config)
        self._move_limit = config.max_episode_moves or self.rules.max_game_length()
        self.spec = self._make_spec(config)
        self.states = [self.rules.new_initial_state() for _ in range(num_games)]
        self._frame_BF = np.zeros((num_games, *self.spec.frame_shape), self.spec.frame_dtype)
        self._legal_BA = np.zeros((num_games, self.spec.num_actions), np.bool_)

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask were reset to the first position."""
        mask_B = self._begin(mask_B)
        self._frame_BF, self._legal_BA = self._frame_BF.copy(), self._legal_BA.copy()
        for game in map(int, np.flatnonzero(mask_B)):
            self.states[game] = self.rules.new_initial_state()
            self._look(game)
        return self._shown(self._frame_BF)

    def step(self, action_B: NDArray[np.integer], mask_B: NDArray[np.bool_] | None = None) -> StepResult:
        """Plays one action in every game under the mask (None: all); they must be live. The others stay as they are."""
        if mask_B is None:
            mask_B = np.ones(self.num_games, np.bool_)
        self._check_step(action_B, mask_B)
        games = np.flatnonzero(mask_B)
        legal = self._legal_BA[games, action_B[games]]
        assert legal.all(), f"games {games[~legal]}: actions {action_B[games[~legal]]} are illegal"
        self._frame_BF, self._legal_BA = self._frame_BF.copy(), self._legal_BA.copy()
        reward_B = np.zeros(self.num_games, np.float32)
        terminated_B, truncated_B = np.zeros((2, self.num_games), np.bool_)
        for game in map(int, games):
            reward_B[game], terminated_B[game], truncated_B[game] = self._play(game, int(action_B[game]))
        return self._end(StepResult(self._frame_BF, reward_B, terminated_B, truncated_B))

    def legal_actions(self) -> NDArray[np.bool_]:
        """Which actions the rules allow now, [B, A]; none in games that have ended."""
        return self._legal_BA

    def to_play(self) -> NDArray[np.int8]:
        """0 if the player who began moves next, else 1, [B]; in games that have ended, the player who would be next."""
        return np.array([_next_player(state) for state in self.states], np.int8)

    def render(self) -> NDArray[np.uint8]:
        """Game 0, uint8 [H, W, 3]: stones in the players' colours, pieces as letters."""
        if self._rules.stones is None:
            return draw_pieces(str(self.states[0]))
        stones_2RC = self._planes(self.states[0])[list(self._rules.stones)]
        return draw_stones(stones_2RC[:, ::-1] if self._rules.first_row_below else stones_2RC)

    def action_names(self) -> tuple[str, ...]:
        """Returns OpenSpiel's names for placing stones; none for pieces, whose moves' names depend on the position."""
        if self._rules.stones is None:
            return ()
        first = self.rules.new_initial_state()
        names = (first.action_to_string(0, action) for action in range(self.spec.num_actions))
        return tuple(name.removeprefix("B ").removeprefix("x") for name in names)

    def forced(self, game: int) -> int | None:
        """The action that a game leaves no choice about and OpenSpiel does not know; None: there is none."""
        return None

    def history(self, game: int) -> list[int]:
        """The actions of both players since the initial position."""
        return list(self.states[game].history())

    def position(self, game: int) -> BoardPosition:
        """The position of a live game; OpenSpiel's state knows ko and repetitions."""
        return BoardPosition(self.states[game].clone(), self._legal_BA[game].copy())

    def put(self, positions: Mapping[int, BoardPosition]) -> None:
        """Brings each of these games to a position."""
        self._legal_BA, self._live_B = self._legal_BA.copy(), self._live_B.copy()
        for game, position in positions.items():
            self.states[game] = position.state.clone()
            self._legal_BA[game], self._live_B[game] = position.legal_A, True

    def replay(self, histories: Mapping[int, Iterable[int]]) -> None:
        """Brings each of these games to the position after these actions."""
        positions = {}
        for game, history in histories.items():
            state, legal_A = self.rules.new_initial_state(), np.zeros(self.spec.num_actions, np.bool_)
            for action in history:
                state.apply_action(int(action))
            legal_A[state.legal_actions()] = True
            positions[game] = BoardPosition(state, legal_A)
        self.put(positions)

    def close(self) -> None:
        """Nothing to free."""

    def _load(self, config: GameConfig) -> pyspiel.Game:
        """The rules, and what is known of them."""
        self._rules = BOARDS[config.name]
        return _load(config)

    def _make_spec(self, config: GameConfig) -> GameSpec:
        self._planes_shape = planes_shape(self.rules)
        return _spec(config, self.rules, self._num_planes())

    def _play(self, game: int, action: int) -> tuple[float, bool, bool]:
        """Plays the action; returns (reward, terminated, truncated)."""
        state = self.states[game]
        player = state.current_player()
        state.apply_action(action)
        self._look(game)
        if state.is_terminal():
            return state.returns()[player], True, False
        return 0.0, False, state.move_number() >= self._move_limit

    def _look(self, game: int) -> None:
        """Writes the game's frame and legal actions."""
        state, frame_F = self.states[game], self._frame_BF[game]
        player = _next_player(state)
        planes = self._planes(state)
        if self._rules.stones is not None:
            first, second = self._rules.stones
            exchanged = self._rules.symmetric and player == 1
            planes = planes[[second, first] if exchanged else [first, second]]
        np.rint(planes * _SET, out=frame_F[:-1], casting="unsafe")
        frame_F[-1] = _SET * player
        self._legal_BA[game] = False
        self._legal_BA[game, state.legal_actions()] = True

    def _planes(self, state: pyspiel.State) -> NDArray[np.float32]:
        """OpenSpiel's observation, planes first."""
        return np.asarray(state.observation_tensor(0), np.float32).reshape(self._planes_shape)

    def _num_planes(self) -> int:
        """Number of planes in a frame without the one for the player to move."""
        return self._planes_shape[0] if self._rules.stones is None else len(self._rules.stones)


def _next_player(state: pyspiel.State) -> int:
    """The player who moves next, or would after the end: the players always alternate.

    Player 0 began. OpenSpiel numbers some games differently: White, who begins chess, is its player 1.
    """
    return state.move_number() % 2


def _load(config: GameConfig) -> pyspiel.Game:
    if config.board.size and not BOARDS[config.name].size_parameter:
        raise ConfigError(
            f"game.board.size={config.board.size}: the board of {config.name} has one size only: leave it out"
        )
    try:
        rules = pyspiel.load_game(config.name, load_parameters(config.name, config.board))
        rules.new_initial_state()  # some games check their size only here
        return rules
    except pyspiel.SpielError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"game.board.size={config.board.size}: OpenSpiel refuses {config.name}: {reason}") from None


def planes_shape(rules: pyspiel.Game) -> tuple[int, int, int]:
    """Planes, rows, columns of OpenSpiel's observation; its gomoku gives the board as one row."""
    shape = rules.observation_tensor_shape()
    if len(shape) == 2:
        side = round(shape[1] ** 0.5)
        return shape[0], side, side
    return shape[0], shape[1], shape[2]


def _spec(config: GameConfig, rules: pyspiel.Game, num_planes: int) -> GameSpec:
    _, rows, columns = planes_shape(rules)
    num_actions, longest = rules.num_distinct_actions(), rules.max_game_length()
    cap = config.max_episode_moves or longest
    # Outcomes are known for whole games, not for games that a limit cuts.
    is_solved = longest <= min(cap, _LONGEST_SOLVED)
    return GameSpec(
        name=config.name,
        description=(
            f"{config.name}: {rows}x{columns} board, {num_planes + 1} planes, stack {config.frame_stack}, "
            f"{num_actions} actions, 2 players, cap {cap} moves"
        ),
        frame_shape=(num_planes + 1, rows, columns),
        frame_dtype="uint8",
        frame_stack=config.frame_stack,
        num_actions=num_actions,
        num_players=2,
        opponents=(
            "random",
            "rollouts",
            *(["perfect", "every_line"] if is_solved else []),
            *(["engine"] if BOARDS[config.name].protocol else []),
        ),
        has_outcome=True,
        has_positions=True,
        max_moves=cap,
        symmetries=board_symmetries(BOARDS[config.name].symmetries, rows, columns, num_actions),
    )
