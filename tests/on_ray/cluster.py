"""Several Ray nodes on this machine, in a process of their own: Ray in pytest's own would raise its warnings there.

`python -m tests.on_ray.cluster FOLDER CPUS...` starts a head with the first number of processors and a node for each
further one, and prints the address. It reads lines, "kill N" and "add CPUS", answers each with "done", and ends with
its input. All files of Ray are in FOLDER, whose path must be short: Ray's sockets are in it.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

_STORE_BYTES = 80 << 20
_START_S, _ATTEMPTS = 120.0, 4
T = TypeVar("T")


class RayCluster:
    """The cluster, for a test."""

    def __init__(self, cpus: Sequence[int]) -> None:
        self._folder = tempfile.mkdtemp(prefix="mzray-", dir="/tmp")
        self.settings = {
            "RAY_TMPDIR": self._folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # nodes are at 127.0.0.1, not at the machine's address
        }
        words = ["-m", "tests.on_ray.cluster", self._folder, *map(str, cpus)]
        with open(Path(self._folder) / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, *words],
                cwd=Path(__file__).parents[2],
                env={**os.environ, **self.settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            said = (Path(self._folder) / "log").read_text()[-2_000:]
            self.close()
            raise AssertionError(f"no Ray cluster: {said}")

    def tell(self, words: str) -> None:
        """Kills or adds a node."""
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        """Ends every process of Ray, and removes its files."""
        self._process.communicate(timeout=_START_S)
        shutil.rmtree(self._folder, ignore_errors=True)


def patiently(start: Callable[[], T]) -> T:
    """What `start` makes; Ray gives a node 30 s to start, which are too few on a busy machine."""
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(Exception):
            return start()
    return start()


def main(folder: str, *cpus: str) -> None:
    (Path(folder) / "ray").mkdir(exist_ok=True)
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from ray.cluster_utils import Cluster

    common = {"object_store_memory": _STORE_BYTES, "node_ip_address": "127.0.0.1"}
    head = {"num_cpus": int(cpus[0]), "include_dashboard": False, "temp_dir": f"{folder}/ray", **common}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))

    def add(number):
        return patiently(lambda: cluster.add_node(num_cpus=int(number), **common))

    nodes = [cluster.head_node, *map(add, cpus[1:])]
    channel.write(f"{cluster.address}\n")
    for line in sys.stdin:
        verb, number = line.split()
        if verb == "kill":
            cluster.remove_node(nodes[int(number)], allow_graceful=False)
        else:
            nodes.append(add(number))
        channel.write("done\n")
    cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
