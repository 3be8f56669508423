"""`mzpipe top RUN`: the stages of a running pipeline, live, or the last state of a dead one."""

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ..errors import ExitCode
from ..format import clock, count, number, percent, score
from ..measure.table import profile_table
from ..measure.top import Look, Onlooker
from ..runs.directory import RunDirectory
from ..runtime.idle import pause
from ..telemetry.view import can_redraw

_DEFAULT_INTERVAL_S = 2.0
_GIB = 1 << 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", type=Path, help="a run directory")
    parser.add_argument(
        "--interval", type=_interval, default=_DEFAULT_INTERVAL_S, help="seconds between looks (default: 2)"
    )
    parser.add_argument("--once", action="store_true", help="look once and end")


def run(arguments: argparse.Namespace) -> int:
    """Shows the run until it ends, or until Ctrl-C, which does not affect the run."""
    onlooker, console = Onlooker(RunDirectory(arguments.run)), Console()
    if not can_redraw(console):
        _follow(onlooker, arguments, lambda screen: console.print(screen))
        return ExitCode.FINISHED
    with Live(console=console, auto_refresh=False) as live:
        _follow(onlooker, arguments, lambda screen: live.update(screen, refresh=True))
    return ExitCode.FINISHED


def _follow(onlooker: Onlooker, arguments: argparse.Namespace, show: Callable[[RenderableType], None]) -> None:
    while True:
        look = onlooker.look()
        if look is not None:
            show(screen(arguments.run.name, look))
            if arguments.once or not look.is_live:
                return
        pause(arguments.interval)


def screen(name: str, look: Look) -> RenderableType:
    """The screen, 80 columns wide: five lines of facts and one per GPU, a row per stage, the verdict."""
    facts = [Text(line, no_wrap=True, overflow="ellipsis") for line in _facts(name, look)]
    facts[0].stylize("bold")
    return Group(*facts, Text(), profile_table(look.report), Text(), Text(look.report.verdict.sentence, style="bold"))


def _facts(name: str, look: Look) -> list[str]:
    snapshot, report = look.snapshot, look.report
    stored, return_mean = snapshot.known("replay/transitions"), snapshot["charts/episodic_return"]
    batch, staleness = snapshot.known("perf/inference_batch_mean"), snapshot["staleness/weights_versions"]
    since = (
        f"over the last {report.seconds:.1f} s"
        if look.is_live
        else f"dead; over its session of {clock(report.seconds)}"
    )
    evaluation = snapshot.evaluation
    private = sum(look.private_bytes.values()) / _GIB
    largest = max(look.private_bytes, key=lambda each: look.private_bytes[each], default="")
    return [
        f"{name}   {since}",
        f"played   {count(snapshot.env_steps)} env steps, {number(report.env_steps_per_s)}/s; "
        f"{number(report.simulations_per_s)} simulations/s, {number(batch)} to a batch",
        f"learnt   {count(snapshot.learner_steps)} steps, {number(report.learner_steps_per_s)}/s; "
        f"samples per insert {_known(report.samples_per_insert)}, staleness {_known(staleness)} versions",
        f"replay   {count(int(stored))} of {count(snapshot.replay_capacity)} transitions "
        f"({percent(stored / max(snapshot.replay_capacity, 1))}); return "
        f"{'-' if return_mean is None else score(return_mean)}"
        + (f", evaluation {score(evaluation.return_mean)}" if evaluation else ""),
        f"memory   {private:.2f} GiB of processes ({largest} {look.private_bytes[largest] / _GIB:.2f}), "
        f"{look.shared_bytes / _GIB:.2f} GiB shared"
        if largest
        else f"memory   {look.shared_bytes / _GIB:.2f} GiB shared",
        *(f"gpu {number:<4} {use.words()}" for number, use in look.gpus.items()),
    ]


def _known(value: float | None) -> str:
    return "-" if value is None else number(value)


def _interval(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 3600 seconds")
    return seconds
