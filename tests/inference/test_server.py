"""The inference server: right numbers, one weights version per search, nothing lost to dead clients."""

import numpy as np
import pytest
import torch

from mzpipe.errors import MzpipeError
from mzpipe.inference import server as server_module
from mzpipe.ipc.lane import LaneServer, RequestKind
from tests.tiny import ACTOR, EVALUATOR, make_plane, observations, publish, random_model, started_server, tiny_profile


@pytest.fixture
def profile():
    return tiny_profile()


@pytest.fixture
def plane(tmp_path, profile):
    return make_plane(tmp_path, profile)


def ask_root(lane, observation, num_simulations=4):
    lane.prepare(last_node=num_simulations)
    lane.observation[: len(observation)] = observation
    lane.request(RequestKind.ROOT, node_index=0, num_rows=len(observation))


def ask_child(lane, node, parents, actions):
    lane.parent_index[: len(parents)] = parents
    lane.action[: len(actions)] = actions
    lane.request(RequestKind.RECURRENT, node_index=node, num_rows=len(parents))


def test_server_waits_until_weights_are_published(plane, profile):
    server = started_server(profile, plane)
    lane, _ = plane.lane_clients(ACTOR)
    ask_root(lane, observations(3))
    assert server.do_work() == 0
    assert not lane.ready()
    publish(plane, random_model(profile, plane, 1))
    assert server.do_work() > 0
    assert lane.ready()


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
@torch.inference_mode()
def test_server_answers_what_the_model_says_along_any_path_of_the_tree(plane, runtime):
    profile = tiny_profile(f"inference.runtime={runtime}", "inference.precision=float32")
    model = random_model(profile, plane, 1)
    publish(plane, model)
    server = started_server(profile, plane)
    lanes = plane.lane_clients(ACTOR)
    inputs = [observations(3, seed) for seed in range(2)]
    for lane, observation in zip(lanes, inputs, strict=True):
        ask_root(lane, observation)
    assert server.do_work() == 2
    hidden = {}  # (lane, node) -> hidden states
    for index, (lane, observation) in enumerate(zip(lanes, inputs, strict=True)):
        output = model.initial_inference(torch.from_numpy(observation))
        hidden[index, 0] = output.hidden_state
        np.testing.assert_allclose(lane.value[:3], model.value(output), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(lane.policy_logits[:3], output.policy_logits_BA, rtol=1e-4, atol=1e-5)
    rng = np.random.default_rng(0)
    for node in range(1, 5):
        asked = [(rng.integers(0, node, 3), rng.integers(0, 2, 3)) for _ in lanes]
        for lane, (parents, actions) in zip(lanes, asked, strict=True):
            ask_child(lane, node, parents, actions)
        server.do_work()
        for index, (lane, (parents, actions)) in enumerate(zip(lanes, asked, strict=True)):
            states = torch.stack([hidden[index, parent][tree] for tree, parent in enumerate(parents.tolist())])
            output = model.recurrent_inference(states, torch.from_numpy(actions))
            hidden[index, node] = output.hidden_state
            np.testing.assert_allclose(lane.reward[:3], model.reward(output), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(lane.value[:3], model.value(output), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(lane.policy_logits[:3], output.policy_logits_BA, rtol=1e-4, atol=1e-5)


ANSWERS = ("reward", "value", "policy_logits")


def answers_at_the_response(plane, profile, monkeypatch):
    """Whether the answers to a root and to a child are whole at the moment when their client may read them."""
    respond, whole = LaneServer.respond, []
    publish(plane, random_model(profile, plane, 1))
    server, (lane, _) = started_server(profile, plane), plane.lane_clients(ACTOR)

    def look(lanes_of_server, lanes):
        respond(lanes_of_server, lanes)
        assert lane.ready()
        whole.append(all(np.isfinite(getattr(lane, name)[:3]).all() for name in ANSWERS) and lane.weights_version == 1)

    monkeypatch.setattr(LaneServer, "respond", look)
    for ask in (lambda: ask_root(lane, observations(3)), lambda: ask_child(lane, 1, [0, 0, 0], [0, 1, 0])):
        for name in ANSWERS:
            getattr(lane, name)[:] = np.nan
        ask()
        server.do_work()
    return whole


def test_answer_is_written_when_the_server_responds(plane, profile, monkeypatch):
    assert answers_at_the_response(plane, profile, monkeypatch) == [True, True]


def test_look_at_the_response_sees_an_answer_that_is_written_after_it(plane, profile, monkeypatch):
    """The control of the test above."""
    monkeypatch.setattr(server_module, "scatter_kernel", lambda *arguments: 0)
    assert answers_at_the_response(plane, profile, monkeypatch) == [False, False]


def test_server_searches_a_move_with_one_version_when_newer_ones_are_published(plane, profile):
    server = started_server(profile, plane)
    lane, other = plane.lane_clients(ACTOR)
    for seed in range(6):
        first = publish(plane, random_model(profile, plane, seed))
        server.do_work()
        ask_root(lane, observations(3))
        server.do_work()
        versions = [lane.weights_version]
        for node in range(1, 5):
            publish(plane, random_model(profile, plane, 100 + node))
            ask_root(other, observations(3))  # another search takes the newest version
            ask_child(lane, node, [0, 0, 0], [0, 1, 0])
            server.do_work()
            versions.append(lane.weights_version)
        assert versions == [first] * 5
        assert other.weights_version > first


def test_server_keeps_a_pinned_version_until_it_is_let_go(plane, profile):
    server = started_server(profile, plane)
    (pinned,), (free, _) = plane.lane_clients(EVALUATOR), plane.lane_clients(ACTOR)
    first = publish(plane, random_model(profile, plane, 0))
    pinned.pin(1)
    for move in range(5):
        ask_root(pinned, observations(3), num_simulations=1)
        server.do_work()
        ask_child(pinned, 1, [0, 0, 0], [0, 0, 0])
        server.do_work()
        assert pinned.weights_version == first
        newest = publish(plane, random_model(profile, plane, 10 + move))
        ask_root(free, observations(3), num_simulations=1)
        server.do_work()
        ask_child(free, 1, [0, 0, 0], [0, 0, 0])
        server.do_work()
        assert free.weights_version == newest
    pinned.pin(2)  # as the next evaluation does
    ask_root(pinned, observations(3), num_simulations=1)
    server.do_work()
    assert pinned.weights_version == newest


def test_server_takes_new_weights_when_a_client_died_in_the_middle_of_a_search(plane, profile):
    server = started_server(profile, plane)
    lanes = plane.lane_clients(ACTOR)
    for seed, lane in enumerate(lanes):  # each lane holds a version of its own
        publish(plane, random_model(profile, plane, seed))
        ask_root(lane, observations(3))
        server.do_work()
    ask_child(lanes[0], 1, [0, 0, 0], [0, 0, 0])
    plane.release_lanes(ACTOR)
    for seed in range(4):
        newest = publish(plane, random_model(profile, plane, 10 + seed))
        server.do_work()
    successor, _ = plane.lane_clients(ACTOR)
    assert successor.ready()  # the dead client's request was answered
    ask_root(successor, observations(3))
    server.do_work()
    assert successor.weights_version == newest


@pytest.mark.parametrize(
    ("node", "parents", "actions"),
    [(1, [1, 0, 0], [0, 0, 0]), (1, [0, 0, -1], [0, 0, 0]), (1, [0, 0, 0], [0, 2, 0]), (9, [0, 0, 0], [0, 0, 0])],
    ids=["parent not yet expanded", "negative parent", "unknown action", "node beyond the pool"],
)
def test_server_refuses_a_request_out_of_range(plane, profile, node, parents, actions):
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    lane, _ = plane.lane_clients(ACTOR)
    ask_root(lane, observations(3))
    server.do_work()
    ask_child(lane, node, parents, actions)
    with pytest.raises(MzpipeError, match="lane 0: a request names a node or action out of range"):
        server.do_work()


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_server_refuses_roots_of_more_rows_than_a_lane_has(plane, runtime):
    profile = tiny_profile(f"inference.runtime={runtime}")
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    lane, _ = plane.lane_clients(ACTOR)
    lane.request(RequestKind.ROOT, node_index=0, num_rows=4)
    with pytest.raises(MzpipeError, match=r"lanes \[0\]: a request names more rows than a lane has \(3\)"):
        server.do_work()


def test_server_waits_for_the_other_lanes_only_as_long_as_the_timeout(tmp_path):
    profile = tiny_profile("inference.batch_timeout_us=50000")
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    lanes = [*plane.lane_clients(ACTOR), *plane.lane_clients(EVALUATOR)]
    for lane in lanes:
        lane.prepare(last_node=4)
    ask_root(lanes[0], observations(3))
    server.do_work()
    assert not lanes[0].ready()
    for lane in lanes[1:]:
        ask_root(lane, observations(3))
    server.do_work()
    assert all(lane.ready() for lane in lanes)  # all are in: no wait
    ask_root(lanes[0], observations(3))
    while not lanes[0].ready():
        server.do_work()  # the time-out ends the wait


def test_server_does_not_wait_for_a_lane_that_asks_for_roots_only(tmp_path):
    """A reanalyzer's value lane asks now and then: if the server waited for it, every batch would take the time-out."""
    profile = tiny_profile("inference.batch_timeout_us=50000")
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    *searching, roots_only = [*plane.lane_clients(ACTOR), *plane.lane_clients(EVALUATOR)]
    for lane in searching:
        lane.prepare(last_node=4)
        ask_root(lane, observations(3))
    roots_only.prepare(last_node=0)
    server.do_work()
    assert all(lane.ready() for lane in searching)
