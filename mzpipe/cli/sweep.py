"""`mzpipe sweep PROFILE SWEEP`: trains a profile with many settings, finds the best, and resumes after any end."""

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..config import Profile, load_profile
from ..errors import MzpipeError, UsageError
from ..extras import require
from ..format import percent, score
from ..launch.checks import check_profile
from ..launch.signals import Outcome
from ..own_code import own_code_allowed
from ..sweep.capacity import Load, auto_jobs, refuse_crowd
from ..sweep.directory import SweepDirectory
from ..sweep.engine import Engine
from ..sweep.jobs import LocalRunner, Runner
from ..sweep.slurm import SlurmRunner, parse_settings
from ..sweep.spec import SweepSpec, grid_spec, read_spec
from ..sweep.study import COMPLETE, Row, Study
from ..trained.scores import make_report
from ..trained.scores.read import read_runs
from .profile_arguments import add_import_argument, add_overrides_argument, integer
from .scores import show_report

_SPAN = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
_MAX_SEEDS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        "profile", type=Path, nargs="?", help="a profile: a file, or a name that `mzpipe profiles` lists"
    )
    parser.add_argument("sweep", type=Path, nargs="?", help="the file that says what to try; see docs/sweeps.md")
    parser.add_argument("--run-dir", type=Path, help="the sweep's directory (default: runs/PROFILE-sweep)")
    parser.add_argument("--jobs", type=_jobs, help="runs at a time (default: auto, as many as the machine holds)")
    parser.add_argument("--seeds", type=_seeds, help="one run for each of these seeds: 0,1,2 or 0..4")
    parser.add_argument("--games", type=_games, help="one run for each of these games (and seeds): Pong,Breakout")
    parser.add_argument(
        "--slurm",
        metavar="NAME=VALUE,...",
        help="submit each run to SLURM: partition=gpu,timeout_min=600,gpus_per_node=1",
    )
    parser.add_argument("--show", type=Path, metavar="DIR", help="print the trials of a sweep, live or ended")
    add_overrides_argument(parser)
    add_import_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the sweep and prints its trials; or only prints them."""
    require("optuna", "mzpipe sweep")
    console = Console(highlight=False)
    if arguments.show is not None:
        _show_sweep(arguments.show, console)
        return 0
    if arguments.profile is None:
        raise UsageError("name a profile, or a sweep's directory with --show")
    spec = _spec(arguments)

    def load(settings: Sequence[str]) -> Profile:
        return load_profile(arguments.profile, [*arguments.overrides, *settings])

    _check(spec, load, arguments.sweep)
    base = load(())
    directory = SweepDirectory(arguments.run_dir or _default_directory(arguments.profile))
    directory.refuse_other(spec, base)
    jobs = _num_jobs(arguments, spec, load)
    with directory.locked():
        directory.refuse_other(spec, base)
        runner = _runner(arguments.slurm, jobs, directory)
        study = _open(spec, directory, base.evaluator.interval_steps)
        directory.refuse_lost(study.num_begun, spec.config.storage)
        directory.claim(spec, base)
        console.print(f"{spec.num_trials} trials in {directory.path}, {jobs} at a time", markup=False)
        engine = Engine(
            study,
            directory,
            runner,
            jobs,
            load,
            lambda line: console.print(line, markup=False, soft_wrap=True),
            words=["--allow-env-import"] if own_code_allowed() else [],
            max_failures=spec.config.max_failures,
        )
        with study.storage_errors():
            outcome = engine.run()
            _show(spec, study, directory, console)
    return _say(outcome, console)


def _spec(arguments: argparse.Namespace) -> SweepSpec:
    """The sweep of the file, the grid of the command line, or both."""
    if arguments.sweep is None and arguments.seeds is None and arguments.games is None:
        raise UsageError("say what to try: a sweep's file, --seeds or --games (docs/sweeps.md)")
    former = None if arguments.sweep is None else read_spec(arguments.sweep)
    fields = {"game.name": arguments.games, "seed": arguments.seeds}
    given = {name: values for name, values in fields.items() if values is not None}
    return former if former is not None and not given else grid_spec(given, former)


def _check(spec: SweepSpec, load: Load, path: Path | None) -> None:
    """Raises UsageError, naming the file, for a field or value with which no trial could be trained."""
    if (external := load(()).topology.external) != "none":
        raise UsageError(f"topology.external={external}: trials start every role: set it to none")

    def check(settings: list[str]) -> None:
        profile = load(settings)
        check_profile(profile, None)
        if profile.topology.external != "none":
            raise UsageError(f"{settings[0]}: trials start every role: leave it none")

    try:
        spec.check(check)
    except UsageError as error:
        raise type(error)(f"{path}: {error}" if path is not None else str(error)) from None


def _num_jobs(arguments: argparse.Namespace, spec: SweepSpec, load: Load) -> int:
    """The runs at a time: those asked for, or what this machine holds; a cluster holds what it is given."""
    if arguments.slurm is not None:
        return int(arguments.jobs or (spec.num_trials if spec.is_grid else spec.config.startup_trials))
    if arguments.jobs is None:
        return auto_jobs(spec, load)
    refuse_crowd(arguments.jobs, spec, load)
    return int(arguments.jobs)


def _runner(slurm: str | None, jobs: int, directory: SweepDirectory) -> Runner:
    if slurm is None:
        return LocalRunner(jobs)
    require("submitit", "--slurm")
    return SlurmRunner(directory.path, parse_settings(slurm))


def _open(spec: SweepSpec, directory: SweepDirectory, interval_steps: int = 1) -> Study:
    storage = spec.config.storage
    return Study(spec, directory.url(storage), directory.study_name(storage), interval_steps)


def _show_sweep(path: Path, console: Console) -> None:
    directory = SweepDirectory(path)
    spec = directory.spec()
    study = _open(spec, directory)
    with study.storage_errors():
        _show(spec, study, directory, console)


def _show(spec: SweepSpec, study: Study, directory: SweepDirectory, console: Console) -> None:
    """The trials by value, the best one's settings, what mattered; for a grid, the table of `mzpipe scores`."""
    rows = study.rows()
    if not rows:
        console.print("no trial has begun")
        return
    console.print()
    console.print(_table(rows))
    complete = sorted((row for row in rows if row.state == COMPLETE), key=_worst_last)
    if not spec.is_grid and complete:
        words = " ".join(f"--set {shlex.quote(each)}" for each in complete[0].settings)
        console.print(Text(f"\nbest: {complete[0].name}, as words of `mzpipe train`:\n  {words}"), soft_wrap=True)
    importances = study.importances()
    if importances:
        parts = ", ".join(f"{name} {percent(part)}" for name, part in importances.items())
        console.print(Text(f"importance of the fields: {parts}"), soft_wrap=True)
    if spec.is_grid and complete:
        console.print()
        paths = [directory.run(row.name).path for row in rows if row.state == COMPLETE]
        show_report(make_report(read_runs(paths, best=spec.config.objective == "best"), mixed=True))


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", no_wrap=True)
    table.add_column("return", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("settings", overflow="fold")
    for row in sorted(rows, key=_worst_last):
        value = "-" if row.value is None else score(row.value)
        what = "\n".join([*row.settings, *([f"({row.note})"] if row.note else [])])
        table.add_row(row.name, value, row.state, escape(what))
    return table


def _worst_last(row: Row) -> tuple[bool, float, int]:
    return (row.state != COMPLETE, float("inf") if row.value is None else -row.value, row.number)


def _say(outcome: Outcome, console: Console) -> int:
    if outcome.has_failed:
        raise MzpipeError(outcome.reason)
    console.print(outcome.reason, markup=False, soft_wrap=True)
    return outcome.exit_code


def _default_directory(profile: Path) -> Path:
    return Path("runs") / f"{profile.stem}-sweep"


def _jobs(text: str) -> int | None:
    return None if text == "auto" else integer(1)(text)


def _seeds(text: str) -> list[int]:
    span = _SPAN.fullmatch(text)
    if span is not None and int(span[1]) <= int(span[2]) < int(span[1]) + _MAX_SEEDS:
        return list(range(int(span[1]), int(span[2]) + 1))
    if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write 0,1,2 or 0..4")
    return [int(each) for each in text.split(",")]


def _games(text: str) -> list[str]:
    names = [each.strip() for each in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: write names with commas: Pong,Breakout")
    return names
