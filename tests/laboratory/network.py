"""Nodes with wires between them, for a test; see the package's docstring."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.laboratory.switch import SUBNET

ROOT = Path(__file__).parents[2]
_END_S = 10.0


def why_not() -> str:
    """What is missing here for a laboratory, or ""."""
    tools = [name for name in ("ip", "nsenter", "setpriv") if shutil.which(name) is None]
    if tools:
        return f"a laboratory needs {' and '.join(tools)}"
    if os.geteuid() != 0:
        return "a laboratory needs root, to make network namespaces"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "a laboratory needs /dev/net/tun"
    return ""


class Network:
    """Nodes 0, 1, ...; skips the test where the machine cannot have them."""

    def __init__(self, num_nodes: int, *, seconds: float = 240.0) -> None:
        if reason := why_not():
            pytest.skip(reason)
        self._switch = subprocess.Popen(
            [sys.executable, "-m", "tests.laboratory.switch", str(num_nodes), str(seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started: list[subprocess.Popen[Any]] = []
        line = self._switch.stdout.readline()
        if not line:
            reason = self._switch.communicate()[1].strip().splitlines()[-1:]
            pytest.skip(f"this kernel gives no laboratory: {' '.join(reason)}")
        self._namespaces = [f"/proc/{self._switch.pid}/fd/{descriptor}" for descriptor in json.loads(line)]

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=_END_S)
        self._switch.communicate(timeout=_END_S)  # the end of its input ends it

    @property
    def switch_pid(self) -> int:
        """The process that carries the packets."""
        return self._switch.pid

    def address(self, node: int) -> str:
        """The node's IP address."""
        return f"{SUBNET}.{node + 1}"

    def popen(self, node: int, words: Sequence[str], **more: Any) -> subprocess.Popen[Any]:
        """Starts a program on a node, in a process group of its own; it ends with this thread."""
        command = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self._namespaces[node]}", "--", *words]
        process = subprocess.Popen(command, process_group=0, **more)
        self._started.append(process)
        return process

    def set(self, node: int, **settings: float) -> None:
        """Changes a node's wire, both ways: delay_ms, loss, mbit, queue_ms; what is not named stays."""
        self._switch.stdin.write(json.dumps([node, settings]) + "\n")
        self._switch.stdin.flush()
        assert self._switch.stdout.readline() == "done\n", self._switch.communicate()

    def cut(self, node: int) -> None:
        """Pulls the node's cable."""
        self.set(node, is_cut=True)

    def mend(self, node: int) -> None:
        """Puts it back."""
        self.set(node, is_cut=False)
