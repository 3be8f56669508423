"""Batches that land later than they start, as on a GPU: what the server does meanwhile, and when it answers."""

import numpy as np
import pytest

from mzpipe.ipc.lane import RequestKind
from mzpipe.ipc.stages import Stage
from mzpipe.nets.engines.torch_flight import TorchFlight
from tests.tiny import ACTOR, EVALUATOR, make_plane, observations, publish, random_model, started_server, tiny_profile


class Air:
    """The flights of a server land only when the test says so."""

    def __init__(self, monkeypatch):
        self.landed = set()
        monkeypatch.setattr(TorchFlight, "landed", lambda flight: flight in self.landed)

    def land(self, flight):
        self.landed.add(flight)


@pytest.fixture
def profile():
    return tiny_profile("inference.runtime=torch", "inference.precision=float32")


@pytest.fixture
def plane(tmp_path, profile):
    return make_plane(tmp_path, profile)


@pytest.fixture
def air(monkeypatch):
    return Air(monkeypatch)


@pytest.fixture
def server(plane, profile, air):
    publish(plane, random_model(profile, plane, 1))
    return started_server(profile, plane)


def ask(lane, seed=0, rows=3):
    lane.prepare(last_node=4)
    lane.observation[:rows] = observations(rows, seed)
    lane.request(RequestKind.ROOT, node_index=0, num_rows=rows)


def in_air(server):
    return [batch.flight for batch in server._in_flight]


def lanes_of(plane):
    return [*plane.lane_clients(ACTOR), *plane.lane_clients(EVALUATOR)]


def test_a_lap_ends_without_the_answer_and_a_later_one_gives_it(server, plane, air):
    lane = lanes_of(plane)[0]
    ask(lane)
    for _ in range(3):
        assert server.do_work() == 1  # so that the process does not sleep
        assert not lane.ready()
    (flight,) = in_air(server)
    air.land(flight)
    assert server.do_work() > 0
    assert lane.ready()
    assert server.do_work() == 0


def test_the_next_batch_starts_while_one_is_in_the_air_and_the_third_waits(server, plane, air):
    first, second, third = lanes_of(plane)
    for index, lane in enumerate((first, second, third)):
        ask(lane, seed=index)
        server.do_work()
    one, two = in_air(server)
    assert one is not two
    air.land(two)
    server.do_work()
    assert not any(lane.ready() for lane in (first, second, third))  # one stream: the first lands first
    air.landed = {one}
    server._answer_landed()
    assert [lane.ready() for lane in (first, second, third)] == [True, False, False]
    air.landed = set()
    server.do_work()
    assert in_air(server) == [two, one]  # the third has the place of the first
    air.landed = {one, two}
    server.do_work()
    assert all(lane.ready() for lane in (first, second, third))


def searched(server, plane, air=None):
    """Every lane's answers along a search; with `air`, each batch lands a lap after it could have."""
    lanes, answers = lanes_of(plane), []
    for node in range(5):
        for index, lane in enumerate(lanes):
            if node == 0:
                ask(lane, seed=index)
            else:
                lane.parent_index[:3], lane.action[:3] = [0, node - 1, node // 2], [node % 2, index % 2, 1]
                lane.request(RequestKind.RECURRENT, node_index=node, num_rows=3)
            server.do_work()
        while not all(lane.ready() for lane in lanes):
            if air is not None:
                air.landed = {in_air(server)[0]}
            server.do_work()
        answers += [[*lane.reward[:3], *lane.value[:3], *lane.policy_logits[:3].flat] for lane in lanes]
    return np.array(answers)


def test_answers_of_batches_in_the_air_are_those_of_batches_that_land_at_once(tmp_path, profile, monkeypatch):
    found = []
    for name in ("at once", "late"):
        (tmp_path / name).mkdir()
        air = Air(monkeypatch) if name == "late" else None
        plane = make_plane(tmp_path / name, profile)
        publish(plane, random_model(profile, plane, 1))
        found.append(searched(started_server(profile, plane), plane, air))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-6)


def test_a_version_in_the_air_is_answered_as_itself_when_a_newer_one_is_loaded(server, plane, profile, air):
    first, second, _ = lanes_of(plane)
    ask(first)
    server.do_work()
    newer = publish(plane, random_model(profile, plane, 2))
    ask(second)
    server.do_work()
    for flight in in_air(server):
        air.land(flight)
    server.do_work()
    assert first.weights_version == newer - 1
    assert second.weights_version == newer


def test_the_request_of_a_client_that_died_in_the_air_is_answered_once_it_lands(server, plane, air):
    ask(lanes_of(plane)[0])
    server.do_work()
    plane.release_lanes(ACTOR)
    successor, _ = plane.lane_clients(ACTOR)
    assert not successor.ready()
    (flight,) = in_air(server)
    air.land(flight)
    server.do_work()
    assert successor.ready()


def test_the_server_does_not_wait_for_lanes_that_are_in_the_air(tmp_path, air):
    profile = tiny_profile("inference.runtime=torch", "inference.batch_timeout_us=60000000")
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server, lanes = started_server(profile, plane), lanes_of(plane)
    for lane in lanes[:2]:
        lane.prepare(last_node=4)
    ask(lanes[0])
    server.do_work()
    assert in_air(server) == []  # the second lane may still ask
    ask(lanes[1])
    server.do_work()
    ask(lanes[2])
    server.do_work()
    assert [batch.lanes.tolist() for batch in server._in_flight] == [[0, 1], [2]]


def test_time_in_the_air_belongs_to_the_device_and_no_time_is_lost(server, plane, air):
    before, clock, now_ns = plane.read_stages(), server._clock, 0
    clock._now_ns = lambda: now_ns
    clock.start()
    ask(lanes_of(plane)[0])
    for _ in range(200):
        work = server.do_work()
        now_ns += 1_000
        clock.lap(work)
    (flight,) = in_air(server)
    air.land(flight)
    server.do_work()
    since = plane.read_stages().since(before)
    process = int(np.argmax(since.items_PS[:, Stage.INFERENCE_DEVICE]))
    assert since.items_PS[process, Stage.INFERENCE_DEVICE] == since.items_PS[process, Stage.INFERENCE_REPLY] == 3
    device_s = since.busy_PS[process, Stage.INFERENCE_DEVICE]
    assert since.wait_in_P[process] == 0.0
    assert device_s == since.accounted_P[process] == 200e-6
    assert since.histogram_PSB[process, Stage.INFERENCE_DEVICE].sum() == 1
