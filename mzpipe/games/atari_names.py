"""The Atari names a user may type, and the ROM each one means.

Suffixes that elsewhere choose a frame skip or sticky actions (`NoFrameskip`,
`Deterministic`, `-v4`, `-v5`) choose nothing here: `game.atari` alone does.
"""

import functools

from ale_py import roms

# Two-player cartridges without a mode for one.
_NO_SOLO_MODE = frozenset({"combat", "joust", "maze_craze", "warlords"})
_SPELLINGS = ("{}", "ALE/{}-v5", "{}NoFrameskip-v4", "{}Deterministic-v4", "{}-v4")


@functools.cache
def atari_names() -> dict[str, str]:
    """Every accepted spelling, and its ROM: {"MsPacman": "ms_pacman", "ALE/MsPacman-v5": "ms_pacman", ...}."""
    names = {}
    for rom in sorted(set(roms.get_all_rom_ids()) - _NO_SOLO_MODE):
        for spelling in _SPELLINGS:
            names[spelling.format(canonical_name(rom))] = rom
    return names


def canonical_name(rom: str) -> str:
    """`MsPacman` of `ms_pacman`."""
    return rom.title().replace("_", "")
