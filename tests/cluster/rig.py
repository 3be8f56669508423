"""A run's gateway and a pod's uplink in one process, over a real socket; tests are actors and replay server."""

import dataclasses
import secrets
import time

import numpy as np

from mzpipe.cluster.asking import Answer
from mzpipe.cluster.gateway import Gateway
from mzpipe.cluster.identity import ADDRESS_FILE, profile_digest
from mzpipe.cluster.keys import pod_key_path, run_keys
from mzpipe.cluster.protocol import Told
from mzpipe.cluster.uplink import Uplink, write_link
from mzpipe.games import describe_game
from mzpipe.ipc.columns import named
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.messages import Note
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.ipc.weights import WeightsPublisher
from mzpipe.launch.plan import make_pod_plan
from mzpipe.launch.pod import pod_profile
from mzpipe.runs.directory import run_id_of
from tests.tiny import make_context, planned, tiny_profile

# Between two ends of a socket laps say nothing about time.
WAIT_S = 60.0
PODS = ("cluster.pods=2", "cluster.actors=2", "topology.trajectory_ring_slots=4")


def made(directory):
    directory.mkdir(parents=True, exist_ok=True)
    return directory


class Head:
    """The run's end: a data plane and its gateway; with `trace_events` it is measured."""

    def __init__(self, home, *overrides, trace_events=None):
        self.home, self.profile = home, tiny_profile(*PODS, *overrides)
        self.plan = planned(self.profile)
        if trace_events is not None:
            shape = dataclasses.replace(self.plan.shape, is_measured=True, trace_events=trace_events)
            self.plan = dataclasses.replace(self.plan, shape=shape)
        self.plane = DataPlane.create(made(home / f"mzpipe-0-{secrets.token_hex(6)}"), self.plan.shape)
        self.keys = run_keys(home, self.profile.cluster.pods)
        self.records = [RingReader(self.plane.trajectory_ring(1 + pod)) for pod in range(self.plan.shape.pods)]
        self.publisher = WeightsPublisher(self.plane.weights())
        self.start()

    def start(self, epoch=0):
        """Starts a gateway, which finds what a former one has left."""
        self.port = LocalPort()
        context = make_context(
            self.profile, self.plane, Role.GATEWAY, directory=made(self.home / "logs"), port=self.port, epoch=epoch
        )
        self.gateway = Gateway(context)
        self.gateway.on_start()

    def kill(self):
        """Ends the gateway without its last words."""
        self.gateway._socket.close()
        self.gateway._socket = None

    def close(self):
        self.gateway.on_close()
        self.gateway._socket = None

    @property
    def address(self):
        return (self.plane.directory / ADDRESS_FILE).read_text()

    def told(self, starts=0):
        """What the gateway answers to the command that starts a pod."""
        shape = self.plan.shape
        return Told(run_id_of(self.plane.directory), starts, 0, shape.is_measured, shape.trace_events)

    @property
    def row(self):
        return self.plane.pod_row(0)

    def lines(self):
        """What the gateway has told since the last call."""
        texts = [message.text for message in self.port.to_supervisor if isinstance(message, Note)]
        self.port.to_supervisor.clear()
        return texts

    def count(self, name):
        return self.gateway._counters.get(name)

    def publish(self, value=None, **counts):
        """Publishes weights that all have one value, by default the version's number."""
        weights = np.full(self.plan.shape.weights_bytes // 4, self.publisher.version + 1 if value is None else value)
        return self.publisher.publish(weights.astype(np.float32), **({"learner_steps": 0, "env_steps": 0} | counts))


class Pod:
    """The pod's end: a data plane and its uplink; the test writes what actors would."""

    def __init__(self, home, head, number=0, *, told=None):
        self.home, self.head, self.number = made(home), head, number
        answer = Answer(head.profile, profile_digest(head.profile), told or head.told())
        self.profile = pod_profile(answer, number)
        plan = head.plan
        self.plan = make_pod_plan(
            self.profile,
            describe_game(self.profile.game),
            plan.devices,
            plan.model,
            reanalyzers=head.profile.cluster.reanalyzers,
            is_measured=answer.told.is_measured,
            trace_events=answer.told.trace_events,
        )
        self.plane = DataPlane.create(made(home / f"mzpipe-0-{secrets.token_hex(6)}"), self.plan.shape)
        key = pod_key_path(head.home, number)
        write_link(
            self.plane.directory, address=head.address, key=key, run_id=answer.told.run_id, profile=answer.digest
        )
        self.writers = [RingWriter(self.plane.trajectory_ring(actor)) for actor in range(self.plan.shape.actors)]
        self.serial = 0
        self.start()

    def start(self, epoch=0):
        """Starts an uplink, which finds what a former one has left."""
        self.port = LocalPort()
        context = make_context(
            self.profile, self.plane, Role.UPLINK, directory=made(self.home / "logs"), port=self.port, epoch=epoch
        )
        self.uplink = Uplink(context)
        self.uplink.on_start()

    def kill(self):
        """Ends the uplink without its last words."""
        self.uplink._socket.close()
        self.uplink._socket = None

    def close(self):
        self.uplink.on_close()
        self.uplink._socket = None

    def play(self, actor=0, *, rows=5, epoch=None):
        """Writes one record as an actor would, if its ring has room; its offset is a serial number."""
        slot = self.writers[actor].claim()
        if slot is None:
            return False
        fill(slot, self.serial, rows)
        self.serial += 1
        self.writers[actor].commit(epoch)
        row = self.uplink._rows[actor]
        row.add("env_steps", rows)
        return True


def fill(slot, serial, rows):
    """Fills a record with what depends on its serial number alone."""
    rng = np.random.default_rng(serial)
    for array in named(slot).values():
        array[...] = rng.integers(0, 2, array.shape)
    slot.game[0], slot.episode[0], slot.offset[0], slot.length[0] = 1, 0, serial, rows


def step(head, *pods, until=lambda: True, at_least=0):
    """Steps all agents round-robin until the condition holds; fails if it does not within WAIT_S."""
    deadline_s, lap = time.monotonic() + WAIT_S, 0
    while time.monotonic() < deadline_s:
        if head is not None:
            head.gateway.do_work()
        for pod in pods:
            pod.uplink.do_work()
        if lap >= at_least and until():
            return
        lap += 1
        time.sleep(0.001)
    raise AssertionError(f"not within {WAIT_S} s; the gateway says {head.lines() if head else None}")
