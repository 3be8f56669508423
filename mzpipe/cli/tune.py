"""`mzpipe tune PROFILE`: finds the topology that makes a profile fastest on this machine, and writes that profile."""

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..config import Profile, load_profile, profile_text
from ..errors import ExitCode, UsageError
from ..format import number, percent
from ..measure.profile import MIN_SECONDS, measure_profile
from ..measure.tune import Setting, Trial, Tuning, as_override, tune
from ..telemetry import SilentView
from ..telemetry.report import ProfileReport
from .profile_arguments import add_json_argument, add_profile_arguments, refuse_unwritable, write_json, write_text

_DEFAULT_MINUTES, _DEFAULT_SECONDS = 5.0, 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_profile_arguments(parser)
    parser.add_argument(
        "--minutes", type=float, default=_DEFAULT_MINUTES, help="start no trial after this time (default: 5)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=_DEFAULT_SECONDS,
        help="how long to measure each trial, once it is warm (default: 10)",
    )
    parser.add_argument("--out", type=Path, help="file for the fastest profile (default: PROFILE-tuned.toml)")
    add_json_argument(parser, "every trial")


def run(arguments: argparse.Namespace) -> int:
    """Tries settings, prints each, and writes the best one; after Ctrl-C, the best so far."""
    out = arguments.out or arguments.profile.with_name(f"{arguments.profile.stem}-tuned.toml")
    refuse_unwritable(arguments.json)
    refuse_unwritable(out, "--out")
    if not arguments.minutes > 0.0 or not arguments.seconds >= MIN_SECONDS:
        raise UsageError(f"--minutes must be above 0 and --seconds at least {MIN_SECONDS:g}")
    console, ended = Console(), [ExitCode.FINISHED]

    def load(setting: Setting) -> Profile:
        return load_profile(arguments.profile, [*arguments.overrides, *map(as_override, setting, setting.values())])

    def measure(profile: Profile) -> ProfileReport | None:
        if profile.topology.external != "none":
            raise UsageError(f"topology.external={profile.topology.external}: trials start every role: set it to none")
        if profile.cluster.pods:
            raise UsageError(f"cluster.pods={profile.cluster.pods}: trials run on this machine alone: set it to 0")
        outcome, report, *_ = measure_profile(profile, arguments.seconds, SilentView())
        if outcome.exit_code.is_signal:
            ended.append(outcome.exit_code)
            return None
        if report is None:
            raise UsageError(f"a trial ended early: {outcome.reason}")
        return report

    try:
        with console.status(f"trials of {arguments.seconds:g} s, each warmed up first"):
            tuning = tune(
                load, measure, seconds=60.0 * arguments.minutes, show=lambda trial: console.print(_line(trial))
            )
    except UsageError:
        if ended[-1] is not ExitCode.FINISHED:
            return ended[-1]
        raise
    console.print(_surface(tuning))
    write_text(out, profile_text(load(tuning.best.setting)), "--out")
    console.print(Text(_conclusion(tuning, out), style="bold"))
    write_json(arguments.json, [asdict(trial) for trial in tuning.trials])
    return ended[-1]


def _line(trial: Trial) -> Text:
    result = f"{number(trial.rate)} env steps/s" if trial.rate is not None else f"cannot run: {trial.note}"
    return Text(f"{_words(trial.setting)}: {result}")


def _surface(tuning: Tuning) -> Table:
    """Every trial that ran, fastest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", overflow="fold", min_width=30)
    for name in ("env steps/s", "learner/s", "vs profile", "bottleneck"):
        table.add_column(name, justify="right", no_wrap=True)
    for trial in sorted(tuning.trials, key=lambda each: -(each.rate or 0.0)):
        if trial.rate is not None:
            table.add_row(
                _words(trial.setting),
                number(trial.env_steps_per_s),
                number(trial.learner_steps_per_s),
                f"{trial.rate / tuning.base_rate:.2f}",
                trial.bottleneck,
                style="bold yellow" if trial is tuning.best else None,
            )
    return table


def _conclusion(tuning: Tuning, out: Path) -> str:
    noise = "the unchanged profile was measured only once"
    if tuning.noise is not None:
        noise = f"two measurements of the unchanged profile differ by {percent(tuning.noise)}"
    if not tuning.best.setting:
        return f"the unchanged profile is the fastest found ({noise}); it is in {out}"
    return f"{_words(tuning.best.setting)}: +{percent(tuning.gain)} ({noise}); the profile with it is in {out}"


def _words(setting: Setting) -> str:
    return ", ".join(map(as_override, setting, setting.values())) or "unchanged"
