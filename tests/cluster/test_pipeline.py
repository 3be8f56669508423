"""A whole run and a whole pod, stepped in one process over a real socket."""

import dataclasses
import secrets
import time

import numpy as np
import pytest

from mzpipe.cluster.asking import Answer
from mzpipe.cluster.identity import ADDRESS_FILE, profile_digest
from mzpipe.cluster.keys import pod_key_path, run_keys
from mzpipe.cluster.protocol import SILENCE_S, Told
from mzpipe.cluster.uplink import write_link
from mzpipe.errors import PlanError
from mzpipe.games import describe_game
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch import plan as plan_module
from mzpipe.launch.plan import make_pod_plan
from mzpipe.launch.pod import pod_profile
from mzpipe.launch.serial import SerialPipeline
from mzpipe.runs.directory import run_id_of
from mzpipe.runtime.context import Storage
from tests.cluster.rig import WAIT_S, made
from tests.tiny import planned, tiny_profile

GATEWAY, REPLAY, LEARNER, UPLINK = (Member(role, 0) for role in (Role.GATEWAY, Role.REPLAY, Role.LEARNER, Role.UPLINK))


def storage(home):
    return Storage(home / "checkpoints", home / "journal", made(home / "logs"))


class Pair:
    """A run with one pod."""

    def __init__(self, home, *overrides):
        profile = tiny_profile("cluster.pods=1", "replay.journal=false", "stop.learner_steps=1000", *overrides)
        plan = planned(profile)
        self.plane = DataPlane.create(made(home / f"mzpipe-0-{secrets.token_hex(6)}"), plan.shape)
        run_keys(home, 1)
        self.run = SerialPipeline(profile, self.plane, storage(home), plan.devices)
        self.run.start()
        self.home, self.profile, self.plan, self.lives = home, profile, plan, 0
        self.begin_pod()

    def begin_pod(self):
        told = Told(run_id_of(self.plane.directory), self.lives, 0, is_measured=False, trace_events=0)
        self.lives += 1
        profile = pod_profile(Answer(self.profile, profile_digest(self.profile), told), 0)
        sizes, reanalyzers = self.plan.model, self.profile.cluster.reanalyzers
        plan = make_pod_plan(profile, describe_game(profile.game), self.plan.devices, sizes, reanalyzers=reanalyzers)
        home = made(self.home / f"pod-{self.lives}")
        self.pod_plane = DataPlane.create(made(home / f"mzpipe-0-{secrets.token_hex(6)}"), plan.shape)
        write_link(
            self.pod_plane.directory,
            address=(self.plane.directory / ADDRESS_FILE).read_text(),
            key=pod_key_path(self.home, 0),
            run_id=told.run_id,
            profile=profile_digest(self.profile),
        )
        self.pod = SerialPipeline(profile, self.pod_plane, storage(home), plan.devices)
        self.pod.start()

    def step(self, until):
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            self.run.lap()
            if self.pod is not None:
                self.pod.lap()
            if until():
                return
        raise AssertionError(f"not within {WAIT_S} s; {self.run.receive()}")

    def kill_pod(self):
        """Ends the pod without a word, and lets the run notice."""
        uplink = self.pod.agents[UPLINK]
        uplink._socket.close()
        uplink._socket = None
        self.pod.close()
        self.pod = None

    def count(self, member, name):
        return self.plane.counters(member).get(name)

    def close(self):
        if self.pod is not None:
            self.pod.close()
        self.run.close()


@pytest.fixture
def pair(tmp_path):
    pairs = []

    def make(*overrides):
        pairs.append(Pair(tmp_path / "run", *overrides))
        return pairs[-1]

    yield make
    for each in pairs:
        each.close()


def test_a_run_trains_on_what_its_pod_plays_with_its_own_weights(pair):
    run = pair()
    run.step(lambda: run.count(GATEWAY, "pod_transitions") > 100 and run.count(LEARNER, "learner_steps") > 20)
    table = run.run.agents[REPLAY]._table
    rows = np.arange(table.tail, table.head) % table.capacity
    assert (table.steps.weights_version[rows] >= 1).all()
    assert table.size == run.count(REPLAY, "inserted")
    assert run.count(REPLAY, "inserted") > run.count(GATEWAY, "pod_transitions")
    # What a pod has played is told with its next heartbeat.
    run.step(lambda: run.plane.total("env_steps") >= run.count(REPLAY, "inserted"))
    assert run.count(REPLAY, "refused") == 0


def test_samples_per_insert_holds_over_both_machines(pair):
    """The corridor of the rate limiter binds actors here and there alike: pods wait like everybody."""
    run = pair("replay.samples_per_insert=8.0", "replay.max_insert_lead=100")
    run.step(lambda: run.count(LEARNER, "learner_steps") > 150)
    inserted, sampled = run.count(REPLAY, "inserted"), run.count(REPLAY, "sampled")
    # Inserts lead consumption by at most the corridor's half width, and the batches under way.
    assert abs(inserted - sampled / 8.0) <= 100 + 20 + 5 + 16 / 8.0
    assert run.count(GATEWAY, "pod_transitions") > 50
    assert run.pod_plane.counters(UPLINK).get("credit_wait") > 0 or run.count(REPLAY, "insert_wait") > 0


REANALYZED = ("reanalyze.fraction=1.0", "topology.trees_per_reanalyzer_lane=3", "replay.td_steps=3")


def searched_in_pod(run):
    return run.pod_plane.total("positions")


def test_a_pods_reanalyzers_search_for_the_run(pair):
    run = pair(*REANALYZED)
    run.step(lambda: searched_in_pod(run) > 30 and run.count(LEARNER, "learner_steps") > 30)
    assert run.count(REPLAY, "unanswered") == 0
    assert run.count(REPLAY, "reanalyzed") > 100


def test_batches_do_not_wait_for_a_pod_that_is_gone(pair, monkeypatch):
    run = pair(*REANALYZED)
    run.step(lambda: searched_in_pod(run) > 10)
    out = lambda: bool(run.run.agents[REPLAY]._batches._reanalysis._workers[1].tickets)  # noqa: E731
    run.step(out)
    run.kill_pod()
    gateway = run.run.agents[GATEWAY]
    gateway._heard_s = [gateway._clock_s.now_s() - SILENCE_S - 1]
    steps = run.count(LEARNER, "learner_steps")
    run.step(lambda: run.count(LEARNER, "learner_steps") > steps + 20)
    assert run.count(REPLAY, "unanswered") > 0
    assert not out()
    run.begin_pod()  # another life of the pod is as good as the first
    run.step(lambda: searched_in_pod(run) > 10)


def test_a_pod_that_does_not_fit_into_its_machine_is_refused_with_what_to_lower_in_the_run(monkeypatch):
    monkeypatch.setattr(plan_module, "available_memory_bytes", lambda: 1 << 20)
    plan = planned(tiny_profile())
    shape = dataclasses.replace(plan.shape, is_pod=True)
    with pytest.raises(PlanError, match=r"memory: the run needs .*, 1\.0 MiB are free: lower cluster\.actors"):
        dataclasses.replace(plan, shape=shape).check_room()


def test_a_run_without_pods_has_no_gateway_and_listens_nowhere():
    shape = planned(tiny_profile()).shape
    assert GATEWAY not in shape.members()
    assert "pods" not in shape.segments()
    assert len(shape.trajectory_writers()) == 1
