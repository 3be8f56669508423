"""`mzpipe bench gpu [SECTION ...]`: runs the sections, each in a process of its own, and says what is BAD.

A section that ends badly, hangs or loses the card ends its own process; the others have a new one.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mzpipe.cli.profile_arguments import write_json
from mzpipe.errors import DeviceError, ExitCode
from mzpipe.measure.gpu_trials import run_trial
from mzpipe.measure.machine import here
from mzpipe.runtime.process import Child, describe_exit

from ..children import Children, meeting_place
from .lines import Setting, failure, text_of
from .sections import SECTIONS, chosen_sections

_PROGRAM, _DEVICE = "mzbench.gpu.program", "cuda:0"
# The card, and the least number of cores, that the bounds of speeds were set for.
_CARD, _CORES = "H200", 16
# A whole run ends within this time when it is asked to.
_PATIENCE_S = 12.0
_CHUNK_BYTES = 1 << 16
# A test may run on two cores that have other work.
_SMALL_FACTOR = 8.0


def run(names: Sequence[str], *, is_small: bool, json_path: Path | None) -> int:
    """Measures the sections, and writes what is known after each; exit code 2 if something is BAD.

    Raises DeviceError where there is no GPU.
    """
    chosen = chosen_sections(names)
    card = _describe_card()
    judges_speed = _CARD in card and len(os.sched_getaffinity(0)) >= _CORES and not is_small
    setting, origin = Setting(_DEVICE, is_small, judges_speed), here()
    _say(f"gpu: {card}; {origin.host}, commit {origin.commit}")
    if not judges_speed:
        _say(f"speeds are not judged: their bounds are for an {_CARD} and {_CORES} cores, at full size")
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    found = {"card": card, **origin._asdict(), "date": date, **setting._asdict(), "sections": {}}
    with meeting_place() as (place, runtime):
        for name in chosen:
            found["sections"][name] = _measure(name, setting, place.logs / f"{name}.log", runtime)
            write_json(json_path, found)
    bad = [name for name, section in found["sections"].items() if not section["ok"]]
    _say(f"BAD: {', '.join(bad)}" if bad else "all ok")
    return ExitCode.USAGE if bad else ExitCode.FINISHED


def _describe_card() -> str:
    from mzpipe.nets import num_gpus, unusable_gpu

    if num_gpus() == 0:
        raise DeviceError(unusable_gpu() or "torch sees no GPU on this machine, and this case measures one")
    return run_trial("", _DEVICE)


def _measure(name: str, setting: Setting, log: Path, runtime: Path) -> dict[str, Any]:
    """The lines of a section, which are shown as they come, and how long it took."""
    began_s, lines = time.monotonic(), []
    budget_s = SECTIONS[name].budget_s * setting.pick(1.0, _SMALL_FACTOR)
    _say(f"\n{name}: {SECTIONS[name].summary}")
    for line in _lines(name, setting, budget_s, log, runtime):
        lines.append(line)
        _say(f"  {text_of(line)}")
    seconds = time.monotonic() - began_s
    _say(f"  -- {seconds:.1f} s of {budget_s:g}")
    return {"seconds": seconds, "ok": all(line["ok"] is not False for line in lines), "lines": lines}


def _lines(name: str, setting: Setting, budget_s: float, log: Path, runtime: Path) -> Iterator[dict[str, Any]]:
    children = Children(name, _PROGRAM, log)
    words = [name, json.dumps(setting._asdict()), str(runtime), str(os.getpid())]
    deadline_s = time.monotonic() + budget_s
    child = children.start(name, words, stdout=subprocess.PIPE)
    is_late = True  # also if we are interrupted
    try:
        for text in _printed(child, deadline_s):
            yield json.loads(text)
        is_late = time.monotonic() >= deadline_s
    finally:
        if is_late:
            child.signal(signal.SIGTERM)
        children.stop(_PATIENCE_S)
    if is_late:
        yield failure(name, f"stopped: it took longer than its budget of {budget_s:g} s")
    elif code := child.reap():
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        yield failure(name, f"{describe_exit(code)}: {last or 'no message'}")


def _printed(child: Child, deadline_s: float) -> Iterator[str]:
    """The lines that a child prints until it ends, or until the deadline."""
    assert child.process.stdout is not None
    descriptor, rest = child.process.stdout.fileno(), b""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while poller.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
        if not (chunk := os.read(descriptor, _CHUNK_BYTES)):
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
