"""`mzpipe profile PROFILE --seconds N`: how every stage spends its time, and which one is the bottleneck."""

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from ..config import load_profile
from ..errors import ExitCode
from ..format import number
from ..measure.ceilings import Ceilings
from ..measure.machine import UNKNOWN, here
from ..measure.page import About, render_page
from ..measure.pods import PodUse
from ..measure.profile import measure_profile
from ..measure.table import ceilings_table, profile_table
from ..measure.trace import TraceReading, render_trace
from ..telemetry import make_view
from ..telemetry.gpus import GpuUse
from ..telemetry.report import ProfileReport
from .profile_arguments import add_json_argument, add_profile_arguments, refuse_unwritable, write_json, write_text

_DEFAULT_SECONDS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_profile_arguments(parser)
    parser.add_argument(
        "--seconds",
        type=float,
        default=_DEFAULT_SECONDS,
        help="how long to measure, once the run is warm (default: 30)",
    )
    parser.add_argument(
        "--ceilings", action="store_true", help="then measure each role alone, and how near the run comes to that"
    )
    add_json_argument(parser, "the report")
    parser.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="have Ray place cluster.pods, as train --ray does: host:port, or auto",
    )
    parser.add_argument("--html", type=Path, help="draw the report here, as a page for a browser")
    parser.add_argument("--trace", type=Path, help="write a trace of every process here, for Perfetto")


def run(arguments: argparse.Namespace) -> int:
    """Runs and measures, then prints and writes the results, even if roles could not be measured alone."""
    profile = load_profile(arguments.profile, arguments.overrides)
    refuse_unwritable(arguments.json)
    refuse_unwritable(arguments.html, "--html")
    refuse_unwritable(arguments.trace, "--trace")
    view = make_view(f"profile of {arguments.profile.stem}", interval_s=profile.telemetry.interval_s)
    try:
        measured = measure_profile(
            profile,
            arguments.seconds,
            view,
            ceilings=arguments.ceilings,
            trace=arguments.trace is not None,
            ray=arguments.ray,
        )
    finally:
        view.close()
    outcome, report, ceilings, trace, failure, gpus, pods = measured
    if report is None:
        sys.stderr.write(f"mzpipe profile: nothing was measured: {outcome.reason}\n{outcome.traceback}".rstrip() + "\n")
        return outcome.exit_code or ExitCode.USAGE
    _show(report, gpus)
    for pod in pods:
        _show_pod(pod)
    if ceilings is not None:
        _show_ceilings(ceilings)
    about = _about(arguments)
    fields = {**about._asdict(), **report.as_json()}
    if gpus:
        fields["gpus"] = {number: use._asdict() for number, use in gpus.items()}
    if pods:
        fields["pods"] = {f"pod-{pod.pod}": pod.as_json() for pod in pods}
    write_json(arguments.json, {**fields, "ceilings": ceilings.as_json()} if ceilings else fields)
    if arguments.html is not None:
        write_text(arguments.html, render_page(report, about, pods), "--html")
    if trace is not None:
        write_text(arguments.trace, render_trace(trace), "--trace")
        _show_trace(trace, arguments.trace)
    if failure is not None:
        raise failure
    return outcome.exit_code


def _about(arguments: argparse.Namespace) -> About:
    origin, now = here(), datetime.now(UTC)
    commit = None if origin.commit == UNKNOWN else origin.commit
    return About(
        arguments.profile.stem, tuple(arguments.overrides), origin.host, commit, now.strftime("%Y-%m-%d %H:%M UTC")
    )


def _show(report: ProfileReport, gpus: Mapping[str, GpuUse]) -> None:
    console = Console()
    console.print()
    console.print(profile_table(report))
    console.print()
    reuse = "-" if report.samples_per_insert is None else f"{report.samples_per_insert:.1f}"
    console.print(
        f"{report.seconds:.0f} s: {report.env_steps_per_s:,.0f} env steps/s, {report.simulations_per_s:,.0f} "
        f"simulations/s, {report.learner_steps_per_s:.3g} learner steps/s, {reuse} samples per insert",
        highlight=False,
    )
    for index, use in gpus.items():
        console.print(f"GPU {index}: {use.words()}", highlight=False)
    for role, device in report.devices.items():
        console.print(f"{role}: {device.words()}", highlight=False)
    console.print(report.verdict.sentence, style="bold", highlight=False)


def _show_pod(pod: PodUse) -> None:
    console, report = Console(), pod.report
    console.print()
    console.print(f"{pod.name}, {report.cores} cores", style="bold", highlight=False)
    console.print(profile_table(report))
    console.print()
    for line in (
        f"{report.env_steps_per_s:,.0f} env steps/s, {report.simulations_per_s:,.0f} simulations/s",
        pod.link.words(),
        pod.link.clock_words(),
    ):
        console.print(line, highlight=False)


def _show_trace(trace: TraceReading, path: Path) -> None:
    lost = f"; {trace.lost:,} more did not fit" if trace.lost else ""
    Console().print(
        f"trace: {trace.num_events:,} events of {len(trace.rows)} processes in {trace.seconds:.2f} s{lost}: "
        f"open {path} in https://ui.perfetto.dev or chrome://tracing",
        highlight=False,
        soft_wrap=True,
    )


def _show_ceilings(ceilings: Ceilings) -> None:
    console = Console()
    console.print()
    console.print(ceilings_table(ceilings))
    console.print()
    lanes, below = ceilings.inference_through_lanes, ceilings.below
    for line in (
        f"the run reached {ceilings.efficiency:.2f} of its lowest ceiling, {ceilings.lowest}: "
        f"{number(ceilings.lowest_env_steps_per_s)} env steps/s",
        f"inference through lanes: {lanes:.2f} of the bare model's {number(below.bare_inferences_per_s)} inferences/s",
        f"a trajectory ring: {number(below.ring_transitions_per_s)} transitions/s",
    ):
        console.print(line, highlight=False)
