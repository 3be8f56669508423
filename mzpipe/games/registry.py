"""Makes a batch of games from a game's name; every family of games is declared here once.

A family's module is loaded only when one of its games is made.
"""

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config import GameConfig
from ..config.base import chosen
from ..errors import ConfigError
from ..extras import how_to_install, is_installed
from .action_planes import ActionPlanes
from .board_rules import BOARDS
from .closing import closed_if_it_fails, opened
from .game import Game, GameSpec
from .names import RAMPING_GAMES, atari_names, gymnasium_names, is_from_elsewhere, minatar_names

if TYPE_CHECKING:
    from .gymnasium_family import Outside


@dataclass(frozen=True)
class Family:
    """Games that one module plays."""

    # The text for messages when no known name is near.
    known: str
    # Every name that a profile may give; the nearest of them is suggested.
    names: Callable[[], Collection[str]]
    # (config, num_games, seed, training) -> the games.
    make: Callable[[GameConfig, int, int, bool], Game]
    # The sections of [game] that have an effect on its games.
    sections: tuple[str, ...] = ()
    # (config) -> fields of these sections that have none on the game, as `field=value`.
    unused: Callable[[GameConfig], Iterable[str]] = lambda config: ()
    # Whether `game.protocol` may name a protocol.
    has_protocols: bool = False
    # Whether a name that is in no list belongs to the family.
    takes: Callable[[str], bool] = lambda name: False
    # Whether the game of this name is other people's code, neither mzpipe's nor of the package that the family is of.
    is_others: Callable[[str], bool] = lambda name: False


def make_game(config: GameConfig, num_games: int, seed: int, *, training: bool = True) -> Game:
    """`num_games` games that repeat from `seed`; reward clipping and life loss apply to training games only.

    Raises ConfigError: no such game, or a protocol or action planes for a game that cannot have them.
    """
    family = _family(config.name)
    if config.protocol and not family.has_protocols:
        raise ConfigError(
            f"game.protocol={config.protocol!r}: {config.name} is not an Atari game, so has no protocols: leave it out"
        )
    game = family.make(config, num_games, seed, training)
    with closed_if_it_fails(game.spec.name, [game]):
        return ActionPlanes(game) if config.action_planes else game


def describe_game(config: GameConfig, *, training: bool = True) -> GameSpec:
    """The spec of the game that `config` names; builds one and closes it."""
    with opened(make_game(config, num_games=1, seed=0, training=training)) as game:
        return game.spec


def unused_settings(config: GameConfig) -> list[str]:
    """The settings under [game] that have no effect on the game, each as an error says it."""
    family = _family(config.name)
    others = [section for section in _SECTIONS if section not in family.sections]
    choices = [choice for section in others for choice in chosen(getattr(config, section), f"game.{section}.")]
    return [
        f"{choice}: it has no effect on {config.name}: leave it out" for choice in [*choices, *family.unused(config)]
    ]


def describe_outside(config: GameConfig) -> "Outside | None":
    """How observations of a caller's environment become frames; None where the game is no gymnasium environment."""
    if "gymnasium" not in _family(config.name).sections:
        return None
    with opened(_family(config.name).make(config, 1, 0, False)) as game:
        return getattr(game, "outside", None)


def has_protocols(config: GameConfig) -> bool:
    """Whether the game may have a protocol; raises ConfigError if there is no such game."""
    return _family(config.name).has_protocols


def is_others_code(config: GameConfig) -> bool:
    """Whether the game is other people's code, of which nobody knows how long a call takes.

    Raises ConfigError if there is no such game.
    """
    return _family(config.name).is_others(config.name)


def same_game(name: str, other: str) -> bool:
    """Whether two names mean one game, like `Pong` and `ALE/Pong-v5`, `MinAtar/Breakout` and `MinAtar/Breakout-v1`."""
    meanings = {**atari_names(), **minatar_names()}
    return meanings.get(name, name) == meanings.get(other, other)


def _family(name: str) -> Family:
    for family in FAMILIES:
        if name in family.names() or family.takes(name):
            return family
    raise ConfigError(f"game.name={name!r}: unknown game{_suggestion(name)}")


def _make_gymnasium(config: GameConfig, num_games: int, seed: int, training: bool) -> Game:
    from .gymnasium_family import GymnasiumGame, make_registered

    return GymnasiumGame(config, num_games, seed, make_registered)


def _make_minatar(config: GameConfig, num_games: int, seed: int, training: bool) -> Game:
    from .minatar import make_minatar

    return make_minatar(config, num_games, seed)


def _make_own(config: GameConfig, num_games: int, seed: int, training: bool) -> Game:
    from .own import make_own

    return make_own(config, num_games, seed)


def _make_envpool(config: GameConfig, num_games: int, seed: int, training: bool) -> Game:
    from .envpool_games import make_envpool

    return make_envpool(config, num_games, seed)


def _make_atari(config: GameConfig, num_games: int, seed: int, training: bool) -> Game:
    from .atari import AtariGame

    return AtariGame(config, num_games, seed, training=training)


def _make_board(config: GameConfig, num_games: int, seed: int, training: bool) -> Game:
    from .board import BoardGame

    return BoardGame(config, num_games)


def _make_open_spiel(config: GameConfig, num_games: int, seed: int, training: bool) -> Game:
    from .open_spiel_games import OpenSpielGame

    return OpenSpielGame(config, num_games, seed)


def _unused_board(config: GameConfig) -> Iterable[str]:
    return () if BOARDS[config.name].has_komi else chosen(config.board, "game.board.", "komi")


def _unused_minatar(config: GameConfig) -> Iterable[str]:
    game = minatar_names()[config.name].game
    return () if game in RAMPING_GAMES else chosen(config.minatar, "game.minatar.", "difficulty_ramping")


_SECTIONS = ("atari", "board", "minatar", "gymnasium")
FAMILIES = (
    Family(
        "gymnasium's environments, as CartPole-v1",
        gymnasium_names,
        _make_gymnasium,
        sections=("gymnasium",),
        is_others=is_from_elsewhere,
    ),
    Family(", ".join(BOARDS), lambda: BOARDS, _make_board, sections=("board",), unused=_unused_board),
    Family(
        "any other of OpenSpiel's for one or two players, as OpenSpiel/breakthrough",
        tuple,
        _make_open_spiel,
        takes=lambda name: name.startswith("OpenSpiel/"),
    ),
    Family(
        "the Atari games, as Pong, ALE/Pong-v5 or PongNoFrameskip-v4",
        atari_names,
        _make_atari,
        sections=("atari",),
        has_protocols=True,
    ),
    Family(
        "MinAtar's five, as MinAtar/Breakout-v1",
        minatar_names,
        _make_minatar,
        sections=("minatar",),
        unused=_unused_minatar,
    ),
    Family(
        "EnvPool's, as envpool:FrozenLake-v1",
        tuple,
        _make_envpool,
        sections=("gymnasium",),
        takes=lambda name: name.startswith("envpool:"),
    ),
    Family(
        "a game of your own, as my_game:MyGame",
        tuple,
        _make_own,
        sections=("gymnasium",),
        takes=lambda name: ":" in name,
        is_others=lambda name: True,
    ),
)


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, [known for family in FAMILIES for known in family.names()], n=1)
    if near:
        return f"; did you mean {near[0]}?"
    if not is_installed("ale_py"):
        return f"; Atari's games need ale_py: {how_to_install('ale_py')}"
    return f"; known games: {'; '.join(family.known for family in FAMILIES)}"
