"""A full disk: every call of every writer is refused, and runs fill a disk of their own; prints a table of what held.

    python -m tests.drills.full_disk [--json F]

Exit code 0 if all held that could be tried: the calls need a compiler, the runs a kernel that mounts a private disk.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.full_disk.refusals import PLANTED, held, refuse_every_call
from tests.pipeline.full_disk import SCENARIOS, on_small_disk
from tests.stand_in_gpu.build import compiler

_RUN_S = 1500
_HELD, _NOT_HELD, _NOT_TRIED = "held", "**not held**", "not tried"


class Row(NamedTuple):
    """One line of the table."""

    what: str
    tried: str
    outcome: str
    detail: str = ""


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.full_disk", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="F", help="write the table here")
    arguments = parser.parse_args()
    rows = []
    for row in (*_calls(), *_runs()):
        rows.append(row)
        sys.stdout.write(f"| {row.what} | {row.tried} | {row.outcome} |\n{row.detail}")
        sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    return 1 if any(row.outcome == _NOT_HELD for row in rows) else 0


def _calls() -> Iterator[Row]:
    if compiler() is None:
        yield Row("every call of every writer", "no compiler", _NOT_TRIED)
        return
    with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as name:
        results = refuse_every_call(Path(name))
    yield from map(judge, results.values())
    yield total(results)


def judge(result: Mapping) -> Row:
    """The row of a writer; one with a planted fault holds if its fault was found."""
    tried = f"{len(result['calls'])} calls, refused {result['met']} times"
    if result["writer"] in PLANTED:
        return Row(f"{result['writer']} (planted)", tried, _HELD if result["faults"] else _NOT_HELD)
    detail = "".join(f"{fault}\n" for fault in result["faults"])
    return Row(result["writer"], tried, _HELD if held(result) else _NOT_HELD, detail)


def total(results: Mapping[str, Mapping]) -> Row:
    """The row of all writers without a planted fault."""
    own = [result for name, result in results.items() if name not in PLANTED]
    calls, met = (sum(numbers) for numbers in zip(*((len(each["calls"]), each["met"]) for each in own), strict=True))
    tried = f"{len(own)} writers, {calls} calls, refused {met} times"
    return Row("all writers", tried, _HELD if all(map(held, own)) else _NOT_HELD)


def _runs() -> Iterator[Row]:
    for name, scenario in SCENARIOS.items():
        with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as folder:
            what = f"a run whose disk {name.replace('_', ' ')}"
            try:
                words = on_small_disk(Path(folder), name)
            except NotImplementedError as error:
                yield Row(what, str(error), _NOT_TRIED)
                continue
            begun_s = time.monotonic()
            done = subprocess.run(words, capture_output=True, text=True, timeout=_RUN_S)
            detail = "" if done.returncode == 0 else f"{done.stdout}{done.stderr}\n"
            tried = f"{(scenario.__doc__ or '').partition(chr(10))[0]} {time.monotonic() - begun_s:.0f} s"
            yield Row(what, tried, _HELD if done.returncode == 0 else _NOT_HELD, detail)


if __name__ == "__main__":
    sys.exit(main())
