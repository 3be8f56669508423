"""`mzpipe bench [CASE]`: measures mzpipe against named references, in turns, on this machine; or a new GPU."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from mzpipe.cli.profile_arguments import add_json_argument, refuse_unwritable, write_json
from mzpipe.errors import UsageError
from mzpipe.measure.machine import here

from .plot import draw, require_matplotlib
from .registry import CASES, GPU, chosen_cases, measure
from .report import CaseResult, make_records, table

# The width if the output is not a terminal, so that a row is still one line.
_WIDTH = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    cases = "; ".join(f"{name}: {summary}" for name, summary in CASES.items())
    gpu = f"{GPU}: what a GPU does, section by section, against bounds; exit code 2 if something is BAD"
    parser.add_argument(
        "case", nargs="?", help=f"what to measure (default: every case with references). {cases}; {gpu}"
    )
    parser.add_argument("sections", nargs="*", help=f"of {GPU}: the sections to run (default: all)")
    add_json_argument(parser, "the records")
    parser.add_argument("--plot", type=Path, help="draw the case here, as a PNG (needs matplotlib)")
    parser.add_argument(
        *("--quick", "--small"), action="store_true", help=f"few shapes and rounds, of {GPU} small sizes: a test"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints a table, writes the requested files."""
    if arguments.case == GPU:
        return _run_gpu(arguments)
    names = chosen_cases(arguments.case)
    if arguments.sections:
        raise UsageError(f"{arguments.sections[0]}: only {GPU} has sections; give one case at a time, or none for all")
    _refuse_what_cannot_be_written(arguments, names)
    console, origin = Console(width=None if sys.stdout.isatty() else _WIDTH), here()
    place = f"{origin.host}, commit {origin.commit}"
    results = {name: _measure(name, arguments.quick, console) for name in names}
    for name, result in results.items():
        _show(console, f"{name}: {place}", result)
    rows = [row for result in results.values() for row in result.comparisons]
    write_json(arguments.json, [asdict(record) for record in make_records(rows, origin)])
    if arguments.plot is not None:
        draw(results[names[0]].panels, f"{names[0]}: {place}", arguments.plot)
    return 0


def _run_gpu(arguments: argparse.Namespace) -> int:
    from .gpu.command import run as run_sections

    refuse_unwritable(arguments.json)
    if arguments.plot is not None:
        raise UsageError(f"--plot {arguments.plot}: {GPU} has no picture: leave --plot out")
    return run_sections(arguments.sections, is_small=arguments.quick, json_path=arguments.json)


def _refuse_what_cannot_be_written(arguments: argparse.Namespace, names: list[str]) -> None:
    """Raises an error for output that cannot be written, before minutes are spent on measuring."""
    refuse_unwritable(arguments.json)
    refuse_unwritable(arguments.plot, "--plot")
    if arguments.plot is not None:
        require_matplotlib()
        if len(names) > 1:
            raise UsageError(f"--plot draws one case: name it ({', '.join(names)})")


def _measure(name: str, quick: bool, console: Console) -> CaseResult:
    with console.status(f"{name}: loading") as status:

        def progress(done: int, total: int, what: str) -> None:
            status.update(f"{name}: {what} ({done + 1} of {total})")

        return measure(name, quick=quick, progress=progress)


def _show(console: Console, title: str, result: CaseResult) -> None:
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(table(result.comparisons))
    for note in result.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
