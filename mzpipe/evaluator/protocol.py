"""What a score was played under, in one line and by the names of its settings."""

from typing import Any

from ..config import GameConfig, score_protocol
from ..games import has_protocols

_GREEDY_PLAY = "greedy actions without root noise, true rewards, whole games"
_EMULATOR = ("frame_skip", "max_pool", "sticky_actions", "noop_max", "max_episode_frames", "full_action_space")


def protocol_settings(game: GameConfig) -> dict[str, Any]:
    """Every setting of evaluation games; those of the emulator where the game is an Atari game."""
    settings: dict[str, Any] = {"play": _GREEDY_PLAY}
    if has_protocols(game):
        settings |= {name: getattr(game.atari, name) for name in _EMULATOR}
    if game.max_episode_moves:
        settings["max_episode_moves"] = game.max_episode_moves
    return settings


def protocol_line(game: GameConfig) -> str:
    """As `protocol_settings`, for people: `machado: greedy actions ..., frame_skip 4, max_pool true, ...`."""
    settings = protocol_settings(game)
    play = settings.pop("play")
    return ", ".join([f"{score_protocol(game)}: {play}", *(f"{name} {value}" for name, value in settings.items())])
