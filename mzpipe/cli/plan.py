"""`mzpipe plan PROFILE`: what `train` would run and need, or why it would refuse; starts and leaves nothing."""

import argparse
import sys

from ..config import load_profile
from ..games import describe_game
from ..launch.plan import ModelSizes, make_plan, plan_lines
from ..launch.rehearsal import describe_model
from ..launch.roles import Devices
from .profile_arguments import add_profile_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_profile_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the lines that `train` prints before it starts; raises the errors that `train` would raise."""
    profile = load_profile(arguments.profile, arguments.overrides)
    game = describe_game(profile.game)
    make_plan(profile, game, Devices.assumed(profile), ModelSizes()).check()
    prepared = describe_model(profile, game)
    plan = make_plan(profile, game, prepared.devices, prepared.model)
    plan.check()
    sys.stdout.writelines(f"{line}\n" for line in [*prepared.lines(), *plan_lines(plan)])
    return 0
