"""The sections `learner` and `feed`: training steps of EfficientZero's network in every form, and their feed."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from mzpipe.errors import MzpipeError
from mzpipe.nets import device_has_bfloat16

from ..learner.case import Shape, compare_feed, settled
from ..learner.reference import resident_step
from ..timing import Contestant, turn_about
from .lines import Bound, Line, Setting
from .works import efficientzero

_BATCH_SIZE, _STEPS_PER_WAIT = 256, 16
_FORMS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, cuda_graphs": {"precision": "bfloat16", "cuda_graphs": True},
    "bfloat16, compile": {"precision": "bfloat16", "compile": True},
}
_EAGER, _CAPTURED, _COMPILED = (
    Bound("steps_per_s", f"estimate for an H200: {reason}", least=least, is_speed=True)
    for reason, least in (
        ("1,000 launches of 5 to 6 us", 100.0),
        ("one launch", 250.0),
        ("half of the launches", 200.0),
    )
)
_SPEEDS = {"bfloat16": _EAGER, "bfloat16, cuda_graphs": _CAPTURED, "bfloat16, compile": _COMPILED}
_AS_ASKED = Bound("fallbacks", "the learner trains as it is asked to", most=0.0)
# In the notes of a learner that cannot do what it is asked.
_FALLBACK = "without"
_SYNCS = Bound("blocking_calls", "the host waits once for a step, by an event", most=1.0)
_FED = Bound("over_resident", "goal: the feed costs a twentieth", least=0.95, is_speed=True)


def forms(setting: Setting) -> Iterator[Line]:
    """Steps on a resident batch; the forms that a card may refuse come last."""
    has_bfloat16 = device_has_bfloat16(torch.device(setting.device))
    for name, fields in _FORMS.items():
        if setting.is_small and "compile" in fields:
            continue  # it takes minutes where there is no card
        if has_bfloat16 or fields["precision"] != "bfloat16":
            yield _form(name, fields, setting)


def _form(name: str, fields: dict[str, Any], setting: Setting) -> Line:
    notes: list[str] = []
    try:
        numbers = _step_numbers(fields, setting, notes.append)
    except (MzpipeError, RuntimeError) as error:  # the other forms are worth having
        return Line(name, {"fallbacks": 1.0}, (_AS_ASKED,), f"{type(error).__name__}: {error}".partition("\n")[0])
    fallbacks = [note for note in notes if _FALLBACK in note]
    numbers["fallbacks"] = float(len(fallbacks))
    bounds = [_AS_ASKED, *([_SPEEDS[name]] if name in _SPEEDS else []), *([_SYNCS] if _SYNCS.number in numbers else [])]
    return Line(name, numbers, bounds, " ".join(fallbacks))


def _step_numbers(fields: dict[str, Any], setting: Setting, note: Callable[[str], None]) -> dict[str, float]:
    device, began_s = setting.device, time.monotonic()
    torch.cuda.reset_peak_memory_stats(device)
    step = resident_step(efficientzero(setting), setting.pick(_BATCH_SIZE, 2), device, note=note, **fields)
    step()
    torch.cuda.synchronize(device)
    first_s = time.monotonic() - began_s
    steps = setting.pick(_STEPS_PER_WAIT, 2)
    timing = turn_about([Contestant("step", settled(step, steps, device))], rounds=setting.pick(5, 1)).timings["step"]
    numbers = {"steps_per_s": steps / timing.seconds, "ms": timing.seconds / steps * 1e3, "first_s": first_s}
    numbers["peak_GiB"] = torch.cuda.max_memory_allocated(device) / (1 << 30)
    if hasattr(torch._C, "_cuda_set_sync_debug_mode"):
        numbers[_SYNCS.number] = float(_blocking_calls(step))
    return numbers


def _blocking_calls(step: Callable[[], None]) -> int:
    """The calls of one step in which torch sees the host wait for the card."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        step()
        torch.cuda.set_sync_debug_mode("default")
    return len(seen)


def feed(setting: Setting) -> Iterator[Line]:
    """A learner that takes its batches from a ring, against the same steps on a resident batch."""
    work, cores = efficientzero(setting), sorted(os.sched_getaffinity(0))
    shape = Shape(work, setting.pick(_BATCH_SIZE, 2), (setting.device,), setting.pick(5, 1))
    rows, notes = compare_feed(shape, cores[1:] or cores)
    for row in rows:
        numbers = {
            "fed_per_s": row.ours.value,
            "resident_per_s": row.reference.value,
            "over_resident": row.ours.value / row.reference.value,
        }
        yield Line(f"{work.name}, batches of {shape.rank_size}", numbers, (_FED,), " ".join(notes))
