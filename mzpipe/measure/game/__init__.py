"""Checks in random play what the pipeline needs of a game: `mzpipe check-env`."""

from collections.abc import Callable, Iterator
from functools import partial

from ...config import Profile
from ...errors import GameError, MzpipeError
from ...format import number
from ...games import unused_settings
from ...planning import signed_search
from ..check import Check
from .looks import LOOKS
from .random_play import RandomPlay, measure_moves_per_s, play_at_random
from .replays import REPLAYS, SEED
from .scale import describe_episodes, describe_numbers, discounted_returns, suggest_supports


def check_game(profile: Profile) -> Iterator[Check]:
    """Plays the profile's game at random and yields the checks.

    If the first play fails, by an error of the game or a failed check, the checks that depend on it are left out.
    """
    game = profile.game
    try:
        play = play_at_random(game, SEED)
        yield Check("game", None, play.spec.description)
        unused = [*unused_settings(game), *play.spec.objections]
        yield from (Check("settings", False, objection) for objection in unused)
        looked = [_looked(name, partial(look, play)) for name, look in LOOKS.items()]
        yield from looked
        yield from (Check("note", None, note) for note in play.notes)
        if not all(check.passed for check in looked):
            return
        for name, replay in REPLAYS.items():
            yield _looked(name, partial(replay, game, play))
        yield Check("speed", None, f"{number(measure_moves_per_s(game))} moves/s of one game")
        yield from _scale(profile, play)
    except MzpipeError as error:
        yield Check("game", False, str(error))


def _looked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except GameError as error:
        return Check(name, False, str(error))


def _scale(profile: Profile, play: RandomPlay) -> Iterator[Check]:
    discount = signed_search(profile.search, play.spec.num_players).discount
    yield Check("episodes", None, describe_episodes(play))
    yield Check("rewards", None, describe_numbers(play.reward_TB))
    yield Check("returns", None, f"{describe_numbers(discounted_returns(play, discount))} (discount {discount:g})")
    supports = suggest_supports(play, discount)
    for name in ("value", "reward"):
        size = "no reward was seen: random play cannot tell" if supports is None else str(getattr(supports, name))
        yield Check(f"{name} support", None, f"network.{name}_support_size: {size}")


__all__ = ["Check", "check_game"]
