"""`mzpipe check-env NAME`: checks what the pipeline needs of a game, one line each; exit code 2 if a check fails."""

import argparse
from pathlib import Path

from ..config import Profile, load_profile, parse_profile
from ..measure.game import check_game
from .checks import print_checks
from .profile_arguments import add_import_argument, add_overrides_argument

# Makes a profile of a bare name: every profile needs a stop condition.
_STOP = "stop.minutes=1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("name", help="a game, as in CartPole-v1 or my_game:MyGame, or a profile")
    add_overrides_argument(parser)
    add_import_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a row per check as it ends."""
    profile = _profile(arguments.name, arguments.overrides)
    return print_checks(check_game(profile), doing="playing at random")


def _profile(name: str, overrides: list[str]) -> Profile:
    if name.endswith(".toml"):
        return load_profile(Path(name), overrides)
    return parse_profile("", [f"game.name={name}", _STOP, *overrides])
