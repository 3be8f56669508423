"""The names that a user may type, and the game that each one means.

Suffixes of Atari names that elsewhere choose a frame skip or sticky actions (`NoFrameskip`,
`Deterministic`, `-v4`, `-v5`) have no effect here: only `game.atari` sets these.
"""

import functools
from typing import NamedTuple

from ..extras import is_installed

MINATAR_GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")
# Those that become faster during the game.
RAMPING_GAMES = ("asterix", "seaquest", "space_invaders")
# The names of the actions, in order of their numbers.
ACTION_NAMES = {
    "CartPole-v1": ("left", "right"),
    "LunarLander-v3": ("nothing", "left engine", "main engine", "right engine"),
    "Acrobot-v1": ("torque -1", "no torque", "torque +1"),
    "MountainCar-v0": ("left", "nothing", "right"),
    "FrozenLake-v1": ("left", "down", "right", "up"),
}
_LEFT_TO_OTHERS = ("ale_py", "minatar")
# Two-player cartridges without a one-player mode.
_NO_SOLO_MODE = frozenset({"combat", "joust", "maze_craze", "warlords"})
_SPELLINGS = ("{}", "ALE/{}-v5", "{}NoFrameskip-v4", "{}Deterministic-v4", "{}-v4")


class MinAtarName(NamedTuple):
    """The meaning of a name."""

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


def gymnasium_names() -> list[str]:
    """The registered ids; whether an environment's actions and observations suit is checked when it is made."""
    import gymnasium

    return [
        name
        for name, spec in gymnasium.registry.items()
        # An entry point that is not a string only says how to install an adapter.
        if isinstance(spec.entry_point, str) and not spec.entry_point.startswith(_LEFT_TO_OTHERS)
    ]


def is_from_elsewhere(name: str) -> bool:
    """Whether another package than gymnasium has registered this id."""
    import gymnasium

    return not str(gymnasium.spec(name).entry_point).startswith("gymnasium.envs.")


@functools.cache
def atari_names() -> dict[str, str]:
    """Every accepted spelling, and its ROM: {"MsPacman": "ms_pacman", "ALE/MsPacman-v5": "ms_pacman", ...}.

    None without ale_py, which knows them.
    """
    if not is_installed("ale_py"):
        return {}
    from ale_py import roms  # only where an Atari game may be meant: runs of other games do not load it

    names = {}
    for rom in sorted(set(roms.get_all_rom_ids()) - _NO_SOLO_MODE):
        for spelling in _SPELLINGS:
            names[spelling.format(canonical_name(rom))] = rom
    return names


def canonical_name(rom: str) -> str:
    """The canonical name of a ROM: `MsPacman` for `ms_pacman`."""
    return rom.title().replace("_", "")
