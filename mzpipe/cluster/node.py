"""What a Ray actor does on the node of its pod: it says what the node is, and holds the pod's keeper by its pipes."""

import contextlib
import json
import os
import platform
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import InputOutputError
from ..runs.directory import SHARED_MEMORY
from ..runtime.environment import child_environment
from ..runtime.memory import available_memory_bytes
from ..version import __version__
from .identity import code_identity
from .keeper import MODULE

POD = ("mzpipe", "pod")
_ANSWER_S, _STOP_S = 60.0, 15.0


@dataclass(frozen=True)
class Facts:
    """A node, as seen from inside."""

    host: str
    version: str
    # Version and digest of mzpipe's sources: both ends of a link must have the same.
    code: str
    python: str
    memory_bytes: int
    shared_bytes: int
    # The wall clock when it was asked.
    time_s: float


class Ended(NamedTuple):
    """The end of a pod: its exit code (negative: killed by that signal), and the last line that it said."""

    code: int
    said: str


class PodNode:
    """The class of the Ray actor of one pod; plain Python, so that it is tested without Ray."""

    def __init__(self) -> None:
        self._keeper: subprocess.Popen[str] | None = None

    def facts(self) -> Facts:
        """What this node is."""
        free = os.statvfs(SHARED_MEMORY)
        return Facts(
            host=platform.node(),
            version=__version__,
            code=code_identity(),
            python=platform.python_version(),
            memory_bytes=available_memory_bytes(),
            shared_bytes=free.f_bavail * free.f_frsize,
            time_s=time.time(),
        )

    def make_key(self, pod: int, head_public: str) -> str:
        """Starts the keeper, which makes the pod's key; returns its public half. Raises InputOutputError."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, "leave"],
            env=child_environment(1),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
            text=True,
        )
        self._keeper.wait()
        self._say(pod=pod, head_public=head_public)
        return str(self._hear(_ANSWER_S)["public"])

    def start(self, address: str, program: Sequence[str] = POD) -> None:
        """Starts the pod, which joins the run at this address."""
        self._say(address=address, program=list(program))

    def look(self, wait_s: float = 0.0) -> Ended | None:
        """How the pod has ended; None while it plays. Raises InputOutputError if its keeper was killed."""
        fields = self._hear(wait_s)
        return Ended(int(fields["code"]), str(fields["said"])) if fields else None

    def stop(self) -> Ended | None:
        """Stops the pod in order; returns how it has ended, or None if it had not begun."""
        if self._keeper is None:
            return None
        try:
            assert self._keeper.stdin is not None and self._keeper.stdout is not None
            with contextlib.suppress(OSError), self._keeper.stdin:  # what is left in its buffer is of no use
                pass
            with self._keeper.stdout:
                return self.look(_STOP_S)
        except InputOutputError:
            return None
        finally:
            self._keeper = None

    def echo(self, data: bytes) -> bytes:
        """What was sent: both ways, for the speed of the link."""
        return data

    def _say(self, **fields: Any) -> None:
        assert self._keeper is not None and self._keeper.stdin is not None
        try:
            self._keeper.stdin.write(json.dumps(fields) + "\n")
            self._keeper.stdin.flush()
        except OSError:
            raise InputOutputError("the pod's keeper has ended") from None

    def _hear(self, wait_s: float) -> dict[str, Any]:
        """The keeper's next line; empty if it says nothing in time."""
        assert self._keeper is not None and self._keeper.stdout is not None
        if not select.select([self._keeper.stdout], [], [], wait_s)[0]:
            return {}
        line = self._keeper.stdout.readline()
        if not line:
            raise InputOutputError("the pod's keeper was killed, and the pod with it")
        fields: dict[str, Any] = json.loads(line)
        if "fault" in fields:
            raise InputOutputError(fields["fault"])
        return fields
