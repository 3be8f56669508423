"""The MinAtar names a user may type, and the game and action set each one means.

`v0` is the full set of six actions, `v1` those of them that do something in the
game, as in the package's own gymnasium ids; without a version it is `v1`.
"""

import functools
from typing import NamedTuple

MINATAR_GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")


class MinAtarName(NamedTuple):
    """What a name stands for."""

    game: str  # the module in the package: "space_invaders"
    title: str  # "SpaceInvaders"
    minimal_actions: bool

    @property
    def canonical(self) -> str:
        """The package's gymnasium id."""
        return f"MinAtar/{self.title}-v{int(self.minimal_actions)}"


@functools.cache
def minatar_names() -> dict[str, MinAtarName]:
    """Every accepted spelling: {"MinAtar/Breakout-v1": ..., "MinAtar/Breakout": ..., "minatar/breakout": ...}."""
    names = {}
    for game in MINATAR_GAMES:
        title = game.title().replace("_", "")
        full, minimal = (MinAtarName(game, title, minimal_actions) for minimal_actions in (False, True))
        names[full.canonical] = full
        for spelling in (minimal.canonical, f"MinAtar/{title}", f"minatar/{game}"):
            names[spelling] = minimal
    return names
