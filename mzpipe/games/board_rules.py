"""The board games that a profile may name, and the meaning of OpenSpiel's planes for each."""

from dataclasses import dataclass, field

from ..config import BoardConfig
from .symmetries import DIAGONALS, SQUARE


@dataclass(frozen=True)
class BoardRules:
    """One game of OpenSpiel's."""

    # Name of the parameter that `game.board.size` sets; "": the board has one size only.
    size_parameter: str = ""
    # Parameters that are always given.
    parameters: dict[str, bool] = field(default_factory=dict)
    # Planes that hold the first player's and the second player's stones; None: all planes are kept.
    stones: tuple[int, int] | None = None
    # Whether both players have the same aim, so that a position stays the same when colours are swapped.
    symmetric: bool = True
    has_komi: bool = False
    # The turns of the board that leave the first position, the rules and both players' aims as they are.
    symmetries: tuple[str, ...] = ()
    # Whether pictures have the planes' first row at the bottom.
    first_row_below: bool = False
    # The protocol in which other programs play it: gtp, uci or usi; "": none.
    protocol: str = ""


BOARDS = {
    "tic_tac_toe": BoardRules(stones=(2, 1), symmetries=SQUARE),
    "connect_four": BoardRules(stones=(0, 1), symmetries=("left and right",), first_row_below=True),
    "gomoku": BoardRules(size_parameter="size", stones=(0, 1), symmetries=SQUARE, protocol="gtp"),
    "othello": BoardRules(stones=(1, 2), symmetries=DIAGONALS, protocol="gtp"),
    # One player connects top and bottom, the other left and right.
    "hex": BoardRules(
        size_parameter="board_size",
        parameters={"plain_obs_tensor": True},
        stones=(0, 1),
        symmetric=False,
        symmetries=("half turn",),
        protocol="gtp",
    ),
    "go": BoardRules(
        size_parameter="board_size",
        stones=(0, 1),
        has_komi=True,
        symmetries=SQUARE,
        first_row_below=True,
        protocol="gtp",
    ),
    "chess": BoardRules(symmetric=False, first_row_below=True, protocol="uci"),
    "shogi": BoardRules(symmetric=False, protocol="usi"),
}


def games_of(*protocols: str) -> tuple[str, ...]:
    """The games of these protocols."""
    return tuple(name for name, rules in BOARDS.items() if rules.protocol in protocols)


def load_parameters(name: str, config: BoardConfig) -> dict[str, bool | int | float]:
    """OpenSpiel's parameters of the game at the profile's size."""
    rules = BOARDS[name]
    parameters: dict[str, bool | int | float] = dict(rules.parameters)
    if rules.size_parameter and config.size:
        parameters[rules.size_parameter] = config.size
    if rules.has_komi:
        parameters["komi"] = config.komi
    return parameters
