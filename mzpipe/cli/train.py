"""`mzpipe train PROFILE`: trains until a stop condition is met, or resumes."""

import argparse
import sys
from pathlib import Path
from shlex import quote

from ..config import load_profile
from ..errors import CheckpointError
from ..launch.signals import Outcome
from ..launch.train import train
from ..runs.checkpoint import BEST, LATEST, CheckpointStore
from ..runs.directory import RunDirectory, default_run_directory
from ..runtime.process import process_began_s
from ..telemetry import View, make_view
from .profile_arguments import add_profile_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_profile_arguments(parser)
    parser.add_argument("--run-dir", type=Path, help="the run's directory (default: runs/PROFILE-seedN)")
    parser.add_argument(
        "--ray", default="", metavar="ADDRESS", help="have Ray place cluster.pods: its head's host:port, or auto"
    )
    parser.add_argument("--serial", action="store_true", help="run all roles in this one process, for a debugger")


def run(arguments: argparse.Namespace) -> int:
    """Trains, and prints where everything is."""
    profile = load_profile(arguments.profile, arguments.overrides)
    run_directory = RunDirectory(arguments.run_dir or default_run_directory(arguments.profile.stem, profile.seed))
    view = make_view(run_directory.path.name, interval_s=profile.telemetry.interval_s)
    try:
        outcome = train(
            profile, run_directory, view, serial=arguments.serial, began_s=process_began_s(), ray=arguments.ray
        )
    finally:
        view.close()
    _say_where(run_directory, outcome, view)
    return outcome.exit_code


def _say_where(run_directory: RunDirectory, outcome: Outcome, view: View) -> None:
    store = CheckpointStore(run_directory.checkpoints)
    evaluate = f"   (evaluate: mzpipe eval {quote(str(run_directory.path))})"
    hint = evaluate if store.has(LATEST) else "   (it has no checkpoint yet)"
    view.line(f"run         {run_directory.path}{hint}")
    look = f"tensorboard --logdir {quote(str(run_directory.tensorboard))}"
    view.line(f"TensorBoard {run_directory.tensorboard}   (look: {look})")
    for name in (LATEST, BEST):
        if store.has_entry(name):
            view.line(f"checkpoint  {_where(store, name)}   ({name})")
    if outcome.has_failed:
        sys.stderr.write("\n".join(filter(None, [f"mzpipe train: {outcome.reason}", outcome.traceback])) + "\n")
    else:
        view.line(outcome.reason)


def _where(store: CheckpointStore, pointer: str) -> str:
    try:
        return str(store.directory / store.pointed(pointer))
    except CheckpointError as error:
        return str(error)
