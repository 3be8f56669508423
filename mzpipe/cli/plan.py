"""`mzpipe plan PROFILE`: what `train` would run and need, or why it would refuse; starts and leaves nothing."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from ..config import load_profile
from ..launch.checks import check_loggers, check_model, check_profile, check_start, find_source
from ..launch.plan import make_plan, plan_lines
from ..launch.rehearsal import describe_model
from ..launch.start import find_start
from ..runs.directory import RunDirectory
from ..telemetry import PlainView
from .profile_arguments import add_profile_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_profile_arguments(parser)
    parser.add_argument("--run-dir", type=Path, help="a run directory, to check what resuming it would need too")


def run(arguments: argparse.Namespace) -> int:
    """Prints the lines that `train` prints before it starts; raises the errors that `train` would raise."""
    profile = load_profile(arguments.profile, arguments.overrides)
    run = RunDirectory(arguments.run_dir) if arguments.run_dir else None
    game = check_profile(profile, run)
    start = None
    if run is not None:
        run.refuse_live()
        start = find_start(run, PlainView(Console()))
        check_start(profile, game, run, start)
    check_loggers(profile)
    source = find_source(profile, start)
    prepared = describe_model(profile, game)
    plan = make_plan(profile, game, prepared.devices, prepared.model)
    initial = check_model(plan, run, start, source)
    lines = [*prepared.lines(), *([initial.line] if initial else []), *plan_lines(plan)]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0
