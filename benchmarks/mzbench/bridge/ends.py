"""Both ends of a link without games, learner or supervisor: what crosses is always the same.

Trajectories are like those of Pong: 64 frames of 84 x 84 bytes, nearly all of one grey. Weights have 33 MB.
"""

import secrets
from pathlib import Path

import numpy as np

from mzpipe.cluster.gateway import Gateway
from mzpipe.cluster.identity import profile_digest
from mzpipe.cluster.keys import pod_key_path, run_keys
from mzpipe.cluster.uplink import Uplink, write_link
from mzpipe.config import parse_profile
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.ipc.schema import Trajectory
from mzpipe.ipc.shape import Member, PlaneShape
from mzpipe.ipc.weights import WeightsPublisher, WeightsSubscriber
from mzpipe.runs.directory import run_id_of
from mzpipe.runtime.context import RoleContext, Storage
from mzpipe.runtime.idle import IdleStrategy

LENGTH, WEIGHTS_BYTES = 64, 33_000_000
_RING_SLOTS = 64
_RUNTIME = "mzpipe-bench-"
PROFILE = parse_profile("[stop]\nminutes = 1.0\n[cluster]\npods = 1\n")


def shape(*, is_pod: bool) -> PlaneShape:
    """A run with one pod, or that pod."""
    return PlaneShape(
        frame_shape=(1, 84, 84),
        frame_dtype="uint8",
        frame_stack=4,
        num_actions=6,
        actors=1,
        lanes_per_actor=1,
        trees_per_lane=1,
        reanalyzers=0,
        lanes_per_reanalyzer=1,
        trees_per_reanalyzer_lane=1,
        position_ring_slots=2,
        evaluator_trees=1,
        inference_servers=1,
        trajectory_length=LENGTH,
        trajectory_ring_slots=_RING_SLOTS,
        batch_ring_slots=1,
        batch_size=1,
        num_unroll_steps=1,
        weights_bytes=WEIGHTS_BYTES,
        pods=0 if is_pod else 1,
        pod_actors=0 if is_pod else 1,
        is_pod=is_pod,
    )


def fill(slot: Trajectory) -> None:
    """Makes a record of a slot: paddles and a ball that move on a grey field, and random search results."""
    rng = np.random.default_rng(0)
    frames = slot.frame[:, 0]
    frames[:] = 87
    frames[:, 8:12], frames[:, 76:80] = 236, 236
    for move, frame in enumerate(frames):
        left, right = 14 + 2 * move % 50, 60 - move % 44
        frame[left : left + 8, 8:10], frame[right : right + 8, 74:76] = 213, 92
        frame[14 + move % 60, 12 + 3 * move % 60] = 236
    slot.game[0], slot.episode[0], slot.offset[0], slot.length[0], slot.end[0] = 0, 0, 0, LENGTH, 0
    for column in slot.steps:
        if column is not None:
            column[:] = rng.random(column.shape) if column.dtype.kind == "f" else 1


class HeadEnd:
    """The gateway, and a replay server that throws away what it gets."""

    def __init__(self, home: Path, runtime: Path) -> None:
        self.plane = DataPlane.create(runtime, shape(is_pod=False))
        run_keys(home, 1)
        self.gateway = Gateway(_context(self.plane, Role.GATEWAY, home))
        self.gateway.on_start()
        # Bytes of a record as it is.
        self.packed_from = self.gateway._links[0]._packers.trajectory.nbytes(LENGTH)
        self._records = RingReader(self.plane.trajectory_ring(1))
        self._idle = IdleStrategy(self.plane.doorbell(Member(Role.GATEWAY, 0)))
        self.publisher = WeightsPublisher(self.plane.weights())
        self._weights = np.random.default_rng(0).normal(size=WEIGHTS_BYTES // 4).astype(np.float32)

    def take(self, records: int) -> None:
        """Waits for so many records."""
        while records:
            worked = self.gateway.do_work()
            while records and self._records.peek() is not None:
                self._records.release()
                records, worked = records - 1, 1
            self._idle.after(worked)

    def hand_over_weights(self, pod: WeightsSubscriber) -> None:
        """Publishes a version, and waits until the pod has published it too: its end rings this one's doorbell."""
        self._weights[0] += 1.0
        version = self.publisher.publish(self._weights, learner_steps=0, env_steps=0)
        while pod.latest() < version:
            self._idle.after(self.gateway.do_work())


class PodEnd:
    """The uplink, and an actor whose records are always ready."""

    def __init__(self, home: Path, head_home: Path, runtime: Path, address: str, run_id: str) -> None:
        self.plane = DataPlane.create(runtime, shape(is_pod=True))
        key = pod_key_path(head_home, 0)
        write_link(runtime, address=address, key=key, run_id=run_id, profile=profile_digest(PROFILE))
        self.uplink = Uplink(_context(self.plane, Role.UPLINK, home))
        self.uplink.on_start()
        ring = self.plane.trajectory_ring(0)
        for slot in ring.slots:
            fill(slot)
        self._writer = RingWriter(ring)
        self._idle = IdleStrategy(self.plane.doorbell(Member(Role.UPLINK, 0)))
        (head,) = head_home.glob(f"{_RUNTIME}*")
        self._head_bell = DataPlane.attach(head).doorbell(Member(Role.GATEWAY, 0))
        self._weights, self._version = WeightsSubscriber(self.plane.weights()), 0

    def lap(self) -> None:
        """One lap of the uplink; the actor has filled its ring."""
        while self._writer.claim() is not None:
            self._writer.commit()
        self._idle.after(self.uplink.do_work())
        if self._weights.latest() != self._version:
            self._version = self._weights.latest()
            self._head_bell.ring()


def new_runtime(parent: Path) -> Path:
    """A runtime directory with an id, as runs have them."""
    path = parent / f"{_RUNTIME}{secrets.token_hex(6)}"
    path.mkdir(mode=0o700)
    return path


def run_id(plane: DataPlane) -> str:
    """The id of the run whose data plane this is."""
    return run_id_of(plane.directory)


def _context(plane: DataPlane, role: Role, home: Path) -> RoleContext:
    storage = Storage(home / "checkpoints", home / "journal", home / "logs")
    return RoleContext(PROFILE, plane, Member(role, 0), storage, "cpu", LocalPort())
