"""Torch networks on a GPU: the CPU's answers, one replay a batch, no wait; and the same where a capture fails."""

import numpy as np
import pytest
import torch

from mzpipe.nets import FlatWeights
from mzpipe.nets.capture import captured
from mzpipe.nets.engines.folded import FoldedModel
from mzpipe.nets.engines.row_model import RowModel
from mzpipe.nets.engines.torch_flight import Runway
from mzpipe.nets.pinned import register
from tests.nets.test_torch_networks import MAX_BATCH, NODES, asked, measured_model, networks, observed, walk
from tests.stand_in_gpu import counted

pytestmark = pytest.mark.on_gpu
CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
KINDS = ["mlp with prefix", "images with prefix", "images, mean", "board of odd size"]
# Layer norm rounds elsewhere in bfloat16: of the 168 numbers one reward was then 0.06 apart.
CASES = [*((kind, bfloat16) for kind in KINDS for bfloat16 in (False, True)), ("board, layer", False)]
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


def flat(kind, seed):
    return FlatWeights(measured_model(kind, seed)).read()


def prepared(kind, runway, count=1, bfloat16=False):
    made = networks(kind, count=count, bfloat16=bfloat16, runway=runway)
    for seed, network in enumerate(made):
        network.prepare()
        network.load(flat(kind, seed))
    return made


@pytest.mark.parametrize(("kind", "bfloat16"), CASES)
def test_graphs_answer_as_on_the_cpu_whichever_version_was_loaded_last(kind, bfloat16):
    found = []
    for device in (CPU, GPU):
        first, second = prepared(kind, Runway(device), count=2, bfloat16=bfloat16)
        answers = [walk(first, kind), walk(second, kind), walk(first, kind, 3)]
        second.load(flat(kind, 2))
        found.append([*answers, walk(second, kind), walk(first, kind)])
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, **({"rtol": 0.02, "atol": 0.02} if bfloat16 else CLOSE))
    assert not np.allclose(found[1][1], found[1][3], atol=1e-3)


@pytest.mark.parametrize("num_rows", [1, 3, MAX_BATCH])
def test_a_batch_of_children_is_one_replay_and_one_event_and_nothing_waits(num_rows):
    (network,) = prepared("images with prefix", Runway(GPU))
    expected = walk(network, "images with prefix")[1]
    flight = network.flights[1]
    flight.answer_RC[:] = np.nan
    flight.source_R[:num_rows], flight.target_R[:num_rows], flight.action_R[:num_rows] = asked(1, num_rows)
    with counted() as seen:
        network.start_children(flight, num_rows)
    assert (seen.replays, seen.launches) == (1, 1)
    assert seen.syncs == seen.h2d_blocking == seen.h2d_pageable == seen.d2h_blocking == seen.allocations == 0
    while not flight.landed():
        pass
    np.testing.assert_allclose(flight.answer_RC[:num_rows], expected[:num_rows], **CLOSE)


def test_a_batch_of_roots_is_a_copy_a_lane_and_one_replay_and_nothing_waits():
    kind = "images with prefix"
    (network,) = prepared(kind, Runway(GPU))
    expected, flight = walk(network, kind)[0], network.flights[1]
    lanes = observed(kind, MAX_BATCH)
    flight.target_R[:] = np.arange(MAX_BATCH) * NODES
    with register(lanes, GPU):
        with counted() as seen:
            network.start_roots(flight, [lanes[:2], lanes[2:]])
        assert (seen.h2d_async, seen.replays, seen.launches) == (2 + 1, 1, 1)  # the request's copy is in the replay
        assert seen.syncs == seen.h2d_blocking == seen.h2d_pageable == 0
        np.testing.assert_array_equal(flight.answers(MAX_BATCH), expected)


def test_a_version_is_one_copy_without_a_wait_and_captures_nothing():
    (network,) = prepared("images with prefix", Runway(GPU))
    with counted() as seen:
        network.load(flat("images with prefix", 1))
    assert (seen.h2d_async, seen.h2d_blocking, seen.h2d_pageable, seen.captured) == (1, 0, 0, 0)


def test_models_and_versions_are_made_on_the_stream_on_which_they_run(monkeypatch):
    """The stream is all that orders a version before the batches that use it, and after those of the former one."""
    streams, runway = [], Runway(GPU)

    def noting(called):
        def call(*arguments):
            streams.append(torch.cuda.current_stream(GPU))
            return called(*arguments)

        return call

    for owner, name in ((FoldedModel, "__init__"), (FoldedModel, "load"), (RowModel, "pool"), (RowModel, "root")):
        monkeypatch.setattr(owner, name, noting(getattr(owner, name)))
    (network,) = prepared("mlp with prefix", runway)
    walk(network, "mlp with prefix")
    assert len(streams) > 4
    assert set(streams) == {runway.stream}
    assert runway.stream != torch.cuda.default_stream(GPU)


def test_everything_is_captured_before_the_first_batch():
    kind = "mlp with prefix"
    (network,) = prepared(kind, Runway(GPU))
    with counted() as seen:
        for num_rows in range(1, MAX_BATCH + 1):
            walk(network, kind, num_rows)
    assert seen.captured == 0
    assert seen.launches == seen.replays == MAX_BATCH * NODES


def test_a_version_of_nan_is_forgotten_with_the_next_one():
    kind = "images with prefix"
    (network,) = prepared(kind, Runway(GPU))
    expected = walk(network, kind)
    network.load(np.full_like(flat(kind, 0), np.nan))
    assert np.isnan(walk(network, kind)[:, :, 1]).all()
    network.load(flat(kind, 0))
    np.testing.assert_array_equal(walk(network, kind), expected)


def test_batches_of_both_flights_are_right_when_they_are_in_the_air_together():
    kind = "images with prefix"
    first, second = prepared(kind, Runway(GPU), count=2)
    expected = [walk(first, kind), walk(second, kind)]
    walk(first, kind)
    one, two = first.flights
    for flight, half in ((one, slice(0, 3)), (two, slice(3, MAX_BATCH))):
        for rows, part in zip((flight.source_R, flight.target_R, flight.action_R), asked(1, MAX_BATCH), strict=True):
            rows[:3] = part[half]
        first.start_children(flight, 3)
    second.load(flat(kind, 5))  # a newer version while both are in the air
    np.testing.assert_allclose(one.answers(3), expected[0][1][:3], **CLOSE)
    np.testing.assert_allclose(two.answers(3), expected[0][1][3:], **CLOSE)


def test_where_a_capture_fails_one_line_says_so_and_the_answers_are_the_same(monkeypatch):
    kind, notes = "images with prefix", []
    (expected,) = prepared(kind, Runway(CPU))

    def refuse(graph, **options):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more lines")

    monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", refuse)
    (network,) = prepared(kind, Runway(GPU, notes.append))
    np.testing.assert_allclose(walk(network, kind), walk(expected, kind), **CLOSE)
    assert notes == [
        "inference on cuda:0 goes on without CUDA graphs, at a launch per operation, because a capture failed: "
        "CUDA error: operation not permitted when stream is capturing"
    ]
    with counted() as seen:
        network.start_children(network.flights[0], 3)
    assert seen.replays == seen.syncs == seen.h2d_blocking == seen.d2h_blocking == 0


def test_an_operation_that_a_capture_refuses_is_such_a_failure(monkeypatch):
    kind, notes = "mlp with prefix", []
    network, *_ = networks(kind, runway=Runway(GPU, notes.append))
    root = type(network._rows).root

    def with_a_wait(rows, observation_R):
        row_RF, answer_RC = root(rows, observation_R)
        answer_RC.sum().item()
        return row_RF, answer_RC

    monkeypatch.setattr(type(network._rows), "root", with_a_wait)
    network.prepare()
    network.load(flat(kind, 0))
    (expected,) = prepared(kind, Runway(CPU))
    np.testing.assert_allclose(walk(network, kind), walk(expected, kind), **CLOSE)
    assert len(notes) == 1


@pytest.mark.parametrize("is_captured", [True, False])
def test_a_landed_batch_tells_how_long_the_device_took_for_it_and_for_its_observations(monkeypatch, is_captured):
    kind = "images with prefix"
    if not is_captured:
        monkeypatch.setattr(Runway, "program", lambda runway, run: run)
    (network,) = prepared(kind, Runway(GPU))
    network.load(flat(kind, 0))
    torch.ops.stand_in_gpu.set_pace(100)
    flight, lanes, found = network.flights[1], observed(kind, MAX_BATCH), []
    flight.target_R[:] = np.arange(MAX_BATCH) * NODES
    flight.source_R[:], flight.action_R[:] = flight.target_R, 0
    for start in (lambda: network.start_roots(flight, [lanes]), lambda: network.start_children(flight, MAX_BATCH)):
        with counted() as seen:
            start()
            network.load(flat(kind, 1))  # of no batch
            while not flight.landed():
                pass
            found.append(flight.device_seconds())
        assert seen.syncs == 0
    assert all(10 < seconds / 100e-6 < 200 for seconds in found)
    (on_cpu,) = prepared(kind, Runway(CPU))
    assert on_cpu.flights[0].device_seconds() == 0.0


def test_torch_s_allocator_and_generator_leave_a_capture_that_cannot_end(monkeypatch):
    """Torch keeps both in it: batches would never be freed, and draws be refused."""
    calls, memory, value = [], torch.cuda.graph_pool_handle(), torch.ones(2, device=GPU)

    class Generator:
        def clone_state(self):
            return "its seed and offset"

        def graphsafe_set_state(self, state):
            calls.append(state)

    monkeypatch.setattr(torch.cuda, "default_generators", (Generator(),))
    for name in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
        monkeypatch.setattr(torch._C, name, lambda *arguments, name=name: calls.append((name, *arguments)))
    with torch.cuda.stream(torch.cuda.Stream()):
        captured(lambda: value + 1, memory)
        assert calls == []
        with pytest.raises(RuntimeError, match="operation not permitted when stream is capturing"):
            captured(lambda: value.sum().item(), memory)
    ended, released = (("_cuda_endAllocateToPool", 0, memory), ("_cuda_releasePool", 0, memory))
    assert calls == [ended, released, "its seed and offset"]
