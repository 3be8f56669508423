"""An inference server that loads many weights versions; prints what its process holds. Run by test_memory.py."""

import ctypes
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mzpipe.games import describe_game
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsPublisher
from mzpipe.launch.plan import make_plan
from mzpipe.launch.rehearsal import describe_model
from mzpipe.nets import FlatWeights
from tests.tiny import make_plane, random_model, started_server, tiny_profile

_WARM_UP = 30


class _Malloc(ctypes.Structure):
    """struct mallinfo2 of libc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def allocated_bytes():
    """Bytes that libraries have asked for and not given back."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Malloc
    found = libc.mallinfo2()
    return found.uordblks + found.hblkhd


def private_bytes():
    """Bytes of this process's own pages: without files and shared memory."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def main(runtime, hidden_size, versions, leak):
    profile = tiny_profile(
        f"inference.runtime={runtime}", f"network.hidden_size={hidden_size}", "inference.precision=float32"
    )
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    plan = make_plan(profile, game, prepared.devices, prepared.model)
    with TemporaryDirectory() as directory:
        plane = make_plane(Path(directory), profile)
        flat = FlatWeights(random_model(profile, plane, 0)).read()
        server, publisher, leaked = started_server(profile, plane), WeightsPublisher(plane.weights()), []

        def load(count):
            for _ in range(count):
                leaked.append(bytes(int(leak * flat.nbytes)))
                version = publisher.publish(flat, learner_steps=0, env_steps=0)
                server.do_work()
                assert server._versions.newest == version

        load(_WARM_UP)
        allocated, private = allocated_bytes(), private_bytes()
        load(versions)
        found = {
            "model": flat.nbytes,
            "allocated": allocated_bytes() - allocated,
            "grown": private_bytes() - private,
            "private": private_bytes(),
            "planned": plan._needs(Member(Role.INFERENCE, 0)).host,
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
