"""Records of games for other programs: SGF (FF[4]) for games of stones, PGN for chess."""

from datetime import date
from string import ascii_lowercase

from ...config import GameConfig
from ...errors import UsageError
from ...games.notation.moves import Move
from ...games.notation.position import Position

# SGF's numbers of games.
_SGF_GAMES = {"go": 1, "othello": 2, "gomoku": 4, "hex": 11}
_PGN_LINE = 80
RECORDED = ("chess", *_SGF_GAMES)


def sgf(position: Position, config: GameConfig) -> str:
    """The game so far as one SGF game tree."""
    rows = position.board().rows
    komi = f"KM[{config.board.komi:g}]" if config.name == "go" else ""
    result = f"RE[{_sgf_result(position)}]" if position.is_over else ""
    head = f"(;FF[4]GM[{_SGF_GAMES[config.name]}]CA[UTF-8]AP[mzpipe]SZ[{rows}]{komi}{result}"
    moves = "".join(f";{'BW'[ply % 2]}[{_sgf_point(position.name, move)}]" for ply, move in enumerate(position.played))
    return f"{head}{moves})"


def pgn(position: Position, white: str, black: str, day: str) -> str:
    """A game of chess so far; `day` as in 2026.11.30."""
    result = _pgn_result(position)
    tags = {"Event": "?", "Site": "?", "Date": day, "Round": "?", "White": white, "Black": black, "Result": result}
    words = [f"{ply // 2 + 1}. {move.name}" if ply % 2 == 0 else move.name for ply, move in enumerate(position.played)]
    lines = [""]
    for word in " ".join([*words, result]).split(" "):
        if len(lines[-1]) + 1 + len(word) > _PGN_LINE:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join([*(f'[{tag} "{_quoted(text)}"]' for tag, text in tags.items()), "", *lines, ""])


def record_of(position: Position, config: GameConfig, players: tuple[str, str]) -> str:
    """The game so far as SGF or PGN; `players` are the names of seat 0 and seat 1."""
    if position.name == "chess":
        return pgn(position, *players, date.today().strftime("%Y.%m.%d"))
    return f"{sgf(position, config)}\n"


def refuse_no_record(name: str) -> None:
    """Raises UsageError for a game that has no kind of record here."""
    if name not in RECORDED:
        raise UsageError(f"{name}: mzpipe writes records of {', '.join(RECORDED)}")


def _sgf_point(name: str, move: Move) -> str:
    """Two letters from the top left; empty for a pass; hex has a letter and a number instead."""
    if move.target is None:
        return ""
    if name == "hex":
        return f"{ascii_lowercase[move.target.column]}{move.target.row + 1}"
    return f"{ascii_lowercase[move.target.column]}{ascii_lowercase[move.target.row]}"


def _sgf_result(position: Position) -> str:
    if position.is_cut:
        return "Void"
    return "0" if position.winner is None else f"{'BW'[position.winner]}+"


def _pgn_result(position: Position) -> str:
    if not position.is_over or position.is_cut:
        return "*"
    return "1/2-1/2" if position.winner is None else ("1-0", "0-1")[position.winner]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
