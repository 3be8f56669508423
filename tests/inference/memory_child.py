"""An inference server that loads many weights versions; prints what its process holds. Run by test_memory.py."""

import ctypes
import json
import sys
from itertools import pairwise
from pathlib import Path

from mzpipe.config import load_profile
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsPublisher, WeightsSubscriber
from mzpipe.launch.roles import make_agent
from mzpipe.runtime.context import RoleContext, Storage

_WARM_UP = 30
# Freed pages stay with libc, or go back, at any time, and a library's thread may begin late. A leak grows in each of
# these parts: the least growth counts.
_PARTS = 5


class _Malloc(ctypes.Structure):
    """struct mallinfo2 of libc."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd")
    _names += ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def allocated_bytes():
    """Bytes that libraries have asked for and not given back."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Malloc
    found = libc.mallinfo2()
    return found.uordblks + found.hblkhd


def private_bytes():
    """Bytes of this process's own pages, without files and shared memory."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def main(home, versions, leak):
    plane, member = DataPlane.attach(home), Member(Role.INFERENCE, 0)
    storage = Storage(home / "checkpoints", home / "journal", home)
    server = make_agent(RoleContext(load_profile(home / "profile.toml"), plane, member, storage, "cpu", LocalPort()))
    server.on_start()
    first = WeightsSubscriber(plane.weights()).pull()
    publisher, leaked = WeightsPublisher(plane.weights()), []
    publisher.version = first.version

    def load(count):
        for _ in range(count):
            leaked.append(bytes(int(leak * first.weights.nbytes)))
            version = publisher.publish(first.weights, learner_steps=0, env_steps=0)
            server.do_work()
            assert plane.counters(member).get("weights_version") == version

    load(_WARM_UP)
    allocated, private = [allocated_bytes()], [private_bytes()]
    for _ in range(_PARTS):
        load(versions // _PARTS)
        allocated.append(allocated_bytes())
        private.append(private_bytes())
    held = {"kept": steady_growth(allocated), "grown": steady_growth(private), "private": private[-1]}
    sys.stdout.write(json.dumps(held))


def steady_growth(sizes):
    """What would have grown by the end if every part had grown as little as the least."""
    return _PARTS * min(after - before for before, after in pairwise(sizes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
