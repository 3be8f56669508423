"""A pod's keeper on its node: makes the pod's key, starts the pod, and ends it when whoever placed it is gone.

`python -m mzpipe.cluster.keeper leave` starts the keeper and ends: Ray kills the children of a worker that ends, so the
keeper is none of them. It talks over stdin and stdout, in lines of JSON:

    in   {"pod": 3, "head_public": KEY}            out  {"public": KEY}
    in   {"address": "host:port", "program": [...]}
                                                   out  {"code": 0, "said": the last line of the pod}
                                              or whenever    {"fault": why the pod cannot be started}

The end of stdin, whatever caused it, stops the pod in order. The secret half of the key is made here, in a file of mode
0600, and stays here. The pod dies with the keeper (PR_SET_PDEATHSIG), and what a killed keeper leaves is
swept by the next start of mzpipe on the node.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import MzpipeError
from ..format import shown
from ..runs.directory import scratch_directory, sweep_leftovers
from ..runtime.environment import child_environment
from ..runtime.process import Child, ignore_terminal, spawn
from .keys import new_pod_key, write_key

MODULE = "mzpipe.cluster.keeper"
_LEAVE = "leave"
_KEY, _LOG, _RUN = "key.json", "pod.log", "run"
# A pod drains in less (R10); then it is killed.
_STOP_S = 12.0
_TAIL_BYTES = 2_000


def main(*words: str) -> None:
    """Leaves the parent, or keeps one pod until its end."""
    if words == (_LEAVE,):
        subprocess.Popen([sys.executable, "-P", "-m", MODULE], process_group=0)
        os._exit(0)
    ignore_terminal()
    gone = contextlib.suppress(EOFError, BrokenPipeError)  # whoever placed the pod
    try:
        with gone, scratch_directory("pod") as directory:
            _keep(directory)
    except (OSError, MzpipeError) as error:  # a full disk, for example
        with gone:
            _say(fault=shown(error))
    sweep_leftovers()  # those of a pod that was killed


def _keep(directory: Path) -> None:
    wanted = _hear()
    key = new_pod_key(wanted["pod"], wanted["head_public"])
    write_key(directory / _KEY, key)
    _say(public=key.public)
    wanted = _hear()
    names = ["--key", str(directory / _KEY), "--run-dir", str(directory / _RUN)]
    code = _run([*wanted["program"], wanted["address"], *names], directory / _LOG)
    _say(code=code, said=_last_line(directory / _LOG))


def _run(program: Sequence[str], log: Path) -> int:
    """Runs the program until it ends, or until stdin does; returns its exit code."""
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    with open(log, "ab") as output:
        words = ["mzpipe.runtime.follow", str(os.getpid()), cores, *program]
        child = spawn(words, environment=child_environment(1), log=output)
    poller = select.poll()
    poller.register(child.pidfd, select.POLLIN)
    poller.register(0, select.POLLIN)
    if child.pidfd not in dict(poller.poll()):
        _stop(child)
    code = child.reap()
    child.close()
    return code


def _stop(child: Child) -> None:
    """Stops the pod in order, or kills it."""
    child.signal(signal.SIGTERM)
    if not select.select([child.pidfd], [], [], _STOP_S)[0]:
        child.signal(signal.SIGKILL)


def _hear() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    fields: dict[str, Any] = json.loads(line)
    return fields


def _say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _last_line(log: Path) -> str:
    """The last line of a log; "" if there is none."""
    try:
        lines = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")


if __name__ == "__main__":
    main(*sys.argv[1:])
