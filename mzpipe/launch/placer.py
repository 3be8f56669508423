"""The program that has Ray place a run's pods: Ray's threads, logs and crashes stay in this process.

`python -m mzpipe.launch.placer PARENT_PID`, a child of `train`; it ends with its parent, or with its stdin, and then
stops every pod. Two lines of JSON come in: a Task, whose resources are reserved, then a Go, after which pods are
started. Lines of JSON go out: {"say": LINE}, {"refused": REASON}, {"placed": true}.

Ray holds the resources of every pod in one placement group, a bundle for each, spread over the nodes, and reserves
those of a dead node again on another. What is done here is only to start a pod in its bundle, and again, after a
back-off, when it has died.
"""

import contextlib
import json
import os
import select
import sys
from typing import Any

from ..errors import ExitCode, MzpipeError
from ..runtime.process import die_with_parent, end_process, ignore_terminal
from .bundles import Bundles, Task, connect
from .places import Go, Places

_TURN_S = 0.25


def _lines_out(descriptor: int) -> Any:
    """A function that sends one line of JSON out, or ends this process if nobody reads."""

    def send(**fields: Any) -> None:
        try:
            os.write(descriptor, (json.dumps(fields) + "\n").encode())
        except OSError:
            end_process(ExitCode.TERMINATED)

    return send


def main(parent_pid: str) -> None:
    """Places what the task says, until stdin ends."""
    ignore_terminal()
    die_with_parent(int(parent_pid))
    send = _lines_out(os.dup(1))
    os.dup2(2, 1)  # whatever a library prints
    task = Task(**json.loads(sys.stdin.readline()))
    try:
        ray = connect(task.address)
        bundles = Bundles(task, ray)
        bundles.reserve(lambda: _hears(0.0))
        send(placed=True)
        line = sys.stdin.readline()
        if line:
            go = Go(**json.loads(line))
            _print_to(go.log)
            places = Places(task, go, ray, bundles.group, lambda line: send(say=line))
            while not _hears(_TURN_S):
                places.turn()
            places.close()
        bundles.release()
    except MzpipeError as error:
        send(refused=str(error))
        end_process(error.exit_code)
    end_process(ExitCode.FINISHED)


def _hears(wait_s: float) -> bool:
    """Whether stdin has ended: nothing more is said there."""
    return bool(select.select([0], [], [], wait_s)[0])


def _print_to(path: str) -> None:
    with contextlib.suppress(OSError), open(path, "ab") as log:  # on a full disk what is printed is lost
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
