"""The server on a GPU: the answers of the CPU, laps that never wait for the device, memory that is given back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mzpipe.inference.server import InferenceServer
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.roles import Role
from tests.inference.test_flights import ask, lanes_of, searched
from tests.stand_in_gpu import counted
from tests.tiny import make_context, make_plane, publish, random_model, tiny_profile

pytestmark = pytest.mark.on_gpu
TORCH = ("inference.runtime=torch", "inference.precision=float32")


def started(device, directory, port=None):
    directory.mkdir()
    profile = tiny_profile(*TORCH)
    plane = make_plane(directory, profile)
    server = InferenceServer(replace(make_context(profile, plane, Role.INFERENCE, port=port), device=device))
    server.on_start()
    return server, plane, profile


def test_searches_on_a_gpu_get_the_answers_of_the_cpu_with_two_batches_in_the_air_and_no_lap_waits(tmp_path):
    found = {}
    for device in ("cpu", "cuda:0"):
        server, plane, profile = started(device, tmp_path / device)
        answers = []
        with counted() as seen:
            for seed in range(3):
                publish(plane, random_model(profile, plane, seed))
                answers.append(searched(server, plane))
        found[device] = np.array(answers)
        server.on_close()
        assert seen.syncs == seen.captured == seen.h2d_blocking == seen.h2d_pageable == seen.d2h_blocking == 0
        assert (seen.replays > 0) == (device == "cuda:0")
    np.testing.assert_allclose(found["cuda:0"], found["cpu"], rtol=1e-3, atol=1e-4)


def test_lanes_are_registered_while_the_server_lives(tmp_path):
    server, *_ = started("cuda:0", tmp_path / "run")
    observation = torch.from_numpy(server._block["observation"])
    assert observation.is_pinned()
    server.on_close()
    assert not observation.is_pinned()


def test_server_that_ends_with_two_batches_in_the_air_waits_for_their_copies_and_gives_the_memory_back(tmp_path):
    server, plane, profile = started("cuda:0", tmp_path / "run")
    publish(plane, random_model(profile, plane, 0))
    torch.ops.stand_in_gpu.set_patience(1_000_000)
    for lane in lanes_of(plane)[:2]:
        ask(lane)
        server.do_work()
    assert len(server._in_flight) == 2
    server.on_close()
    assert not torch.from_numpy(server._block["observation"]).is_pinned()
    server._block["observation"][:] = 0.0  # whoever has the lane next may write it
    torch.cuda.synchronize()


def test_a_capture_that_fails_is_told_to_the_supervisor(tmp_path, monkeypatch):
    def refuse(graph, **options):
        raise RuntimeError("no graphs here")

    monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", refuse)
    port = LocalPort()
    server, plane, profile = started("cuda:0", tmp_path / "run", port)
    (note,) = port.to_supervisor
    assert note.text.startswith("inference on cuda:0 goes on without CUDA graphs")
    publish(plane, random_model(profile, plane, 0))
    assert np.isfinite(searched(server, plane)).all()
    server.on_close()


@pytest.mark.parametrize("patience", [0, 1])
def test_launches_and_the_time_of_the_device_are_counted_for_every_batch(tmp_path, patience):
    server, plane, profile = started("cuda:0", tmp_path / "run")
    publish(plane, random_model(profile, plane, 0))
    torch.ops.stand_in_gpu.set_pace(1_000_000)  # a kernel a second: whole numbers
    torch.ops.stand_in_gpu.set_patience(patience)
    searched(server, plane)
    counters = server._counters
    assert counters.value("batches") > 0 and counters.value("launch_time") > 0.0
    assert counters.value("device_time") >= 10 * counters.value("batches")
    assert counters.value("device_time") == int(counters.value("device_time"))
    server.on_close()


def test_nothing_of_this_is_counted_on_a_cpu(tmp_path):
    server, plane, profile = started("cpu", tmp_path / "run")
    publish(plane, random_model(profile, plane, 0))
    searched(server, plane)
    assert server._counters.value("launch_time") == server._counters.value("device_time") == 0.0
    assert server._counters.value("batches") > 0
