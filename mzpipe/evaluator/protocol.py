"""What a score was played under: a name, and its settings."""

from typing import Any

from ..config import GREEDY, GameConfig, Profile, score_protocol
from ..games import has_protocols

_GREEDY_PLAY = "greedy actions without root noise, true rewards, whole games"
_EMULATOR = ("frame_skip", "max_pool", "sticky_actions", "noop_max", "max_episode_frames", "full_action_space")


def match_protocol(profile: Profile, num_players: int) -> str:
    """The name that is written beside a score: the game's protocol, or who played against the agent."""
    if num_players == 1:
        return score_protocol(profile.game)
    opponent = profile.evaluator.opponent
    strength = f"-{profile.evaluator.opponent_simulations}" if opponent == "rollouts" else ""
    return f"{GREEDY}-versus-{opponent}{strength}"


def protocol_settings(profile: Profile, num_players: int) -> dict[str, Any]:
    """Every setting of evaluation games; those of the emulator where it is an Atari game, the opponent where one is."""
    game = profile.game
    settings: dict[str, Any] = {"play": _GREEDY_PLAY} | _emulator_settings(game)
    if game.max_episode_moves:
        settings["max_episode_moves"] = game.max_episode_moves
    if num_players == 2:
        settings["opponent"] = profile.evaluator.opponent
        if profile.evaluator.opponent == "rollouts":
            settings["opponent_simulations"] = profile.evaluator.opponent_simulations
    return settings


def _emulator_settings(game: GameConfig) -> dict[str, Any]:
    return {name: getattr(game.atari, name) for name in _EMULATOR} if has_protocols(game) else {}
