"""Records games as mp4 or gif, with the search drawn next to every picture.

overlay   one picture with its panel      encode   pictures to a file
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...config import score_protocol
from .. import Progress
from ..player import Player
from ..watched import Outcome, WatchedGame
from .encode import Add, open_video
from .overlay import SIZE, Panel, draw

# How long the last picture of an episode is shown.
_LAST_PICTURE_S = 1.0


class Recorded(NamedTuple):
    """The games in a video."""

    # The first player's return in each episode, including episodes cut short.
    returns: list[float]
    moves: int
    caption: str


class Limits(NamedTuple):
    """How much is played; with max_moves 0 only the game's own limit ends an episode."""

    episodes: int
    max_moves: int = 0


def record_games(player: Player, path: Path, limits: Limits, *, seed: int, fps: int, progress: Progress) -> Recorded:
    """Plays whole greedy games, determined by `seed`, and writes them to `path`, an .mp4 or .gif.

    Progress is called with the episode and its moves so far. Raises InputOutputError if `path` cannot be written.
    """
    caption, returns, moves = caption_of(player), [], 0
    with WatchedGame(player, seed) as watched, open_video(path, SIZE, fps, caption) as add:
        panel = Panel(player.game.name, caption, watched.names, player.game.num_players, None, "", ())
        for _ in range(limits.episodes):
            last = _record_episode(watched, panel, limits.max_moves, add, progress)
            for _ in range(max(1, round(_LAST_PICTURE_S * fps))):
                add(last)
            returns.append(float(watched.returns[0]))
            moves += watched.step
    return Recorded(returns, moves, caption)


def _record_episode(
    watched: WatchedGame, panel: Panel, max_moves: int, add: Add, progress: Progress
) -> NDArray[np.uint8]:
    """Plays one game and adds a picture per move; returns the picture of its end, which the caller adds."""
    watched.begin()
    values: list[float] = []
    outcome = None
    while not watched.ended and not (max_moves and watched.step >= max_moves):
        picture, position = watched.picture(), watched.decide()
        values.append(position.decision.value if position.to_play == 0 else -position.decision.value)
        add(draw(picture, panel._replace(position=position, values=values, names=watched.names)))
        outcome = watched.play(position.decision.action_index)
        progress(watched.episode, watched.step)
    return draw(watched.picture(), panel._replace(result=_result(watched, outcome), values=values))


def caption_of(player: Player) -> str:
    """One line with the game, the checkpoint, the protocol and the search."""
    agent, config = player.agent, player.config
    return (
        f"{agent.game.description}; {agent.checkpoint} of {agent.env_steps:,} env steps; "
        f"protocol {score_protocol(agent.profile.game)}, "
        f"{config.num_simulations} simulations per move ({config.policy})"
    )


def _result(watched: WatchedGame, outcome: Outcome | None) -> str:
    how = "ended" if outcome is not None and outcome.terminated else "cut short"
    if len(watched.returns) == 1:
        return f"{how}: return {watched.returns[0]:g}"
    if watched.returns[0] == watched.returns[1]:
        return "a draw" if how == "ended" else how
    return f"{how}: player {watched.returns.argmax() + 1} wins"


__all__ = ["Limits", "Recorded", "record_games"]
