"""Tests marked `on_gpu` run in another pytest that sees the stand-in: those of a module in one process."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .build import compiler
from .environment import ROOT, is_here, stand_in_environment

_OUTCOMES = "MZPIPE_STAND_IN_OUTCOMES"


def send_to_stand_in(items):
    """Makes the marked tests among these run there; without a compiler they are skipped."""
    marked = {} if is_here() else {item: item.get_closest_marker("on_gpu") for item in items}
    groups = {}
    for item, mark in marked.items():
        if mark is not None:
            group = groups.setdefault((item.nodeid.partition("::")[0], json.dumps(mark.kwargs)), [])
            group.append(item.nodeid)
            item.runtest = functools.partial(_repeat_outcome, item.nodeid, group, mark.kwargs)


def _repeat_outcome(nodeid, group, stand_in):
    if compiler() is None:
        pytest.skip("the stand-in GPU needs a C++ compiler: g++, or CXX")
    outcome, text = _outcomes(tuple(group), json.dumps(stand_in)).get(nodeid, ("failed", "it did not run"))
    if outcome == "skipped":
        pytest.skip(text)
    if outcome == "failed":
        pytest.fail(text, pytrace=False)


@functools.cache
def _outcomes(nodeids, stand_in):
    """By test: how it ended on the stand-in, and the text of that."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "outcomes"
        words = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *nodeids]
        environment = {**stand_in_environment(**json.loads(stand_in)), _OUTCOMES: str(path)}
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
        lines = path.read_text().splitlines() if path.exists() else []
        found = {nodeid: (outcome, text) for nodeid, outcome, text in map(json.loads, lines)}
    ended = f"pytest ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return dict.fromkeys(nodeids, ("failed", ended)) | found


def note_outcome(report):
    """Tells the pytest that started this one how a test has ended, if one did."""
    path = os.environ.get(_OUTCOMES)
    if path and (report.when == "call" or report.outcome != "passed"):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        with open(path, "a") as outcomes:
            outcomes.write(json.dumps([report.nodeid, report.outcome, text]) + "\n")


def begin_test():
    """Nothing of an earlier test is left on the device."""
    if is_here():
        import torch

        torch.ops.stand_in_gpu.reset()
