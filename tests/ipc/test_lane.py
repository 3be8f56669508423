"""Lanes: one outstanding request each, gathered together, never lost."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.ipc import lane as lane_module
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.doorbell import Doorbell
from mzpipe.ipc.lane import LaneClient, LaneServer, RequestKind, lane_layout
from mzpipe.ipc.segment import HEADER_BYTES
from mzpipe.ipc.shape import Member, PlaneShape

LANES, TREES, ACTIONS = 3, 4, 2
# Doorbells: the server's, then its clients'; the first client has two lanes.
SERVER, CLIENTS, CLIENT_OF_LANE = 0, 2, (1, 1, 2)


@pytest.fixture
def lanes():
    layout = lane_layout(LANES, TREES, ACTIONS, (5,), "float32")
    block = layout.views(bytearray(layout.nbytes))
    words = np.zeros((CLIENTS + 1, 16), np.int64)
    bells = [Doorbell(words, index) for index in range(len(words))]
    clients = [LaneClient(block, lane, bells[SERVER], client) for lane, client in enumerate(CLIENT_OF_LANE)]
    return clients, LaneServer(block, words), block, bells


def test_lane_is_pending_from_its_request_to_its_response(lanes):
    clients, server, block, _ = lanes
    assert list(server.pending()) == []
    clients[2].request(RequestKind.ROOT, node_index=0, num_rows=4)
    clients[0].request(RequestKind.RECURRENT, node_index=7, num_rows=2)
    assert list(server.pending()) == [0, 2]
    assert not clients[0].ready()
    assert (block["kind"][0], block["node_index"][0], block["num_rows"][0]) == (RequestKind.RECURRENT, 7, 2)
    server.respond(np.array([0]))
    assert clients[0].ready()
    assert not clients[2].ready()
    assert list(server.pending()) == [2]


def test_lane_rings_the_server_at_a_request_and_each_client_once_at_responses(lanes):
    clients, server, _, bells = lanes
    for client in clients:
        client.request(RequestKind.ROOT, node_index=0, num_rows=1)
    assert bells[SERVER].sequence() == LANES
    server.respond(np.arange(LANES))
    assert [bell.sequence() for bell in bells] == [LANES, 1, 1]
    server.respond(np.array([1, 2]))
    assert [bell.sequence() for bell in bells] == [LANES, 2, 2]


def test_new_server_finds_the_work_that_a_dead_one_left(lanes):
    clients, _, block, _ = lanes
    clients[1].request(RequestKind.ROOT, node_index=0, num_rows=1)
    assert list(LaneServer(block, np.zeros((CLIENTS + 1, 16), np.int64)).pending()) == [1]


def test_new_client_is_ready_only_after_the_answer_to_a_dead_one(lanes):
    clients, server, block, bells = lanes
    clients[1].request(RequestKind.ROOT, node_index=0, num_rows=1)
    successor = LaneClient(block, 1, bells[0], 1)
    assert not successor.ready()
    server.respond(np.array([1]))
    assert successor.ready()


@pytest.fixture
def steps(monkeypatch):
    """Records the stores and rings of the lane's kernels in order, with the kernels run as Python."""
    steps = []
    recorder = SimpleNamespace(store_release=lambda words, place, value: steps.append(("store", words, place, value)))
    monkeypatch.setattr(lane_module, "atomics", recorder)
    monkeypatch.setattr(lane_module, "ring_kernel", lambda words: steps.append(("ring", words)))
    return steps


def test_request_is_stored_before_the_server_is_rung(steps):
    lane_module.request_kernel.py_func("request", "server", 7)
    assert steps == [("store", "request", 0, 7), ("ring", "server")]


def test_all_responses_are_stored_before_their_clients_are_rung(steps):
    request_LW = np.array([[4], [5], [6]])
    lane_module.respond_kernel.py_func([0, 1, 2], request_LW, ["a", "b", "c"], CLIENT_OF_LANE, ["server", "one", "two"])
    stores = [("store", "a", 0, 4), ("store", "b", 0, 5), ("store", "c", 0, 6)]
    assert steps == [*stores, ("ring", "one"), ("ring", "two")]


def test_request_is_stored_after_everything_that_the_server_reads(lanes):
    (client, *_), server, block, _ = lanes
    hand_over, seen = client._hand_over, []

    def look(*arguments):
        seen.append((len(server.pending()), *(int(block[name][0]) for name in ("kind", "node_index", "num_rows"))))
        hand_over(*arguments)

    client._hand_over = look
    for node_index in (9, 2):  # the second request overwrites the first
        client.request(RequestKind.RECURRENT, node_index=node_index, num_rows=4)
        server.respond(np.array([0]))
    assert seen == [(0, RequestKind.RECURRENT, 9, 4), (0, RequestKind.RECURRENT, 2, 4)]


def make_shape(**changes):
    fields = {
        "frame_shape": (4,),
        "frame_dtype": "float32",
        "frame_stack": 2,
        "num_actions": 2,
        "actors": 3,
        "lanes_per_actor": 2,
        "trees_per_lane": 4,
        "reanalyzers": 0,
        "lanes_per_reanalyzer": 2,
        "trees_per_reanalyzer_lane": 3,
        "position_ring_slots": 4,
        "evaluator_trees": 5,
        "inference_servers": 2,
        "trajectory_length": 3,
        "trajectory_ring_slots": 4,
        "batch_ring_slots": 2,
        "batch_size": 6,
        "num_unroll_steps": 5,
        "weights_bytes": 400,
    }
    return PlaneShape(**{**fields, **changes})


@given(
    actors=st.integers(0, 6),
    lanes_per_actor=st.integers(1, 3),
    reanalyzers=st.integers(0, 4),
    inference_servers=st.integers(1, 4),
)
def test_every_lane_has_exactly_one_owner(actors, lanes_per_actor, reanalyzers, inference_servers):
    shape = make_shape(
        actors=actors, lanes_per_actor=lanes_per_actor, reanalyzers=reanalyzers, inference_servers=inference_servers
    )
    expected = {"actor": lanes_per_actor, "reanalyzer": 2 * 2, "evaluator": 1}
    owned = []
    for member in shape.members():
        if member.role in expected:
            server, lanes = shape.lanes_of(member)
            assert len(lanes) == expected[member.role]
            owned += [(server, lane) for lane in lanes]
    existing = [(s, lane) for s in range(inference_servers) for lane in range(len(shape.lane_clients(s)))]
    assert sorted(owned) == existing


def test_plane_attaches_to_exactly_what_was_created(shm_path):
    created = DataPlane.create(shm_path, make_shape())
    attached = DataPlane.attach(shm_path)
    assert attached.shape == created.shape
    for name, nbytes in created.shape.segment_bytes().items():
        assert (shm_path / name).stat().st_size == nbytes
    actor = Member("actor", 2)
    created.counters(actor).add("env_steps", 5)
    assert attached.counters(actor).get("env_steps") == 5
    assert attached.total("env_steps") == 5
    created.errors(actor).record_text("oops")
    assert attached.errors(actor).read()[0].text == "oops"
    created.stop_word().raise_to(3)
    assert attached.stop_word().stage() == 3
    (lane,) = attached.lane_clients(Member("evaluator", 0))
    lane.request(RequestKind.ROOT, node_index=0, num_rows=1)
    assert list(created.lane_server(0).pending()) == [4]
    assert HEADER_BYTES == 64


def test_release_lanes_lets_go_of_a_dead_process_lanes_only(shm_path):
    plane = DataPlane.create(shm_path, make_shape(inference_servers=1))
    for member in (Member("actor", 0), Member("actor", 1)):
        plane.lane_clients(member)
    plane.release_lanes(Member("actor", 0))
    assert plane.lane_server(0).block["attached"].tolist() == [0, 0, 1, 1, 0, 0, 0]
