"""`mzpipe plan PROFILE`: what `train` would run and need, or why it would refuse; starts and leaves nothing."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from ..config import Profile, load_profile
from ..errors import UsageError
from ..launch.checks import check_loggers, check_model, check_profile, check_start, find_source
from ..launch.plan import make_plan, plan_lines
from ..launch.pod_resources import pod_line
from ..launch.rehearsal import describe_model
from ..launch.start import find_start
from ..launch.train import refuse_without_pods
from ..measure.cluster.lines import link_lines
from ..measure.cluster.rates import Rates, read_rates
from ..runs.directory import RunDirectory
from ..telemetry import PlainView
from .profile_arguments import add_profile_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_profile_arguments(parser)
    parser.add_argument("--run-dir", type=Path, help="a run directory, to check what resuming it would need too")
    parser.add_argument("--ray", action="store_true", help="also say what pods on Ray would need and send over links")
    parser.add_argument(
        "--measured", type=Path, help="rates for --ray: a file of `mzpipe profile PROFILE --ceilings --json FILE`"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the lines that `train` prints before it starts; raises the errors that `train` would raise."""
    profile = load_profile(arguments.profile, arguments.overrides)
    rates = _rates(arguments, profile)
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
    if arguments.ray:
        lines += [pod_line(plan), *link_lines(profile, plan.shape, rates)]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _rates(arguments: argparse.Namespace, profile: Profile) -> Rates | None:
    """The measured rates, if there are any; refuses options that say nothing without others."""
    if arguments.ray:
        refuse_without_pods(profile)
    if arguments.measured is None:
        return None
    if not arguments.ray:
        raise UsageError("--measured: only with --ray, whose rates it has")
    return read_rates(arguments.measured)
