"""A role whose GPU is missing, busy, full or lost ends with 75 and says what to do; nothing stays registered."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mzpipe.errors import ExitCode
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.doorbell import Doorbell
from mzpipe.ipc.errorlog import ErrorLog, errorlog_layout
from mzpipe.ipc.messages import Failed
from mzpipe.ipc.ring import RingWriter
from mzpipe.launch.roles import make_agent
from mzpipe.runtime.agent import run_agent
from mzpipe.runtime.idle import IdleStrategy
from tests.inference.test_flights import ask, lanes_of
from tests.tiny import make_context, make_plane, publish, random_model, tiny_profile

pytestmark = pytest.mark.on_gpu
BUSY = "CUDA error: CUDA-capable device(s) is/are busy or unavailable"
LOST = "CUDA error: an illegal memory access was encountered"
FULL = "CUDA out of memory"
MOST_LAPS = 100


def raising(error):
    def fail(*arguments, **options):
        raise error

    return fail


def fill_up():
    """From now on nothing more fits into the device."""
    torch.ops.stand_in_gpu.limit_memory(0, torch.cuda.memory_allocated(0))


def busy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "set_device", raising(torch.AcceleratorError(BUSY)))


def full_at_capture(monkeypatch):
    begin = torch.cuda.CUDAGraph.capture_begin

    def begin_and_fill_up(*arguments, **options):
        begin(*arguments, **options)
        fill_up()

    monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", begin_and_fill_up)


def no_graphs(monkeypatch):
    monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", raising(RuntimeError("no graphs here")))


def lost(monkeypatch):
    monkeypatch.setattr(torch.cuda.Event, "query", raising(torch.AcceleratorError(LOST)))
    monkeypatch.setattr(torch.cuda.Event, "synchronize", raising(torch.AcceleratorError(LOST)))


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """Runs a role with work to do, and a fault at its start or after it; returns its last message and its memory."""

    def run(role, device="cuda:0", *, first=None, then=None):
        profile, port = tiny_profile("inference.runtime=torch", "inference.precision=float32"), LocalPort()
        plane = make_plane(tmp_path, profile)
        context = make_context(profile, plane, role, port=port, device=device)
        agent, laps = make_agent(context), iter(range(MOST_LAPS))
        give_work(plane, profile, role)
        start = agent.on_start

        def start_and_then():
            start()
            if then is not None:
                then(monkeypatch)

        monkeypatch.setattr(agent, "on_start", start_and_then)
        if first is not None:
            first(monkeypatch)
        errors = ErrorLog(errorlog_layout(1).views(bytearray(errorlog_layout(1).nbytes))["words"], 0)
        code = run_agent(
            agent,
            control=port,
            stop=SimpleNamespace(requested=lambda: next(laps, None) is None),
            idle=IdleStrategy(Doorbell(np.zeros((1, 16), np.int64), 0)),
            counters=plane.counters(context.member),
            clock=plane.stage_clock(context.member),
            errors=errors,
        )
        assert not torch.from_numpy(shared_with_device(plane, role)).is_pinned()
        return code, port.to_supervisor[-1]

    return run


def give_work(plane, profile, role):
    if role == "inference":
        publish(plane, random_model(profile, plane, 0))
        ask(lanes_of(plane)[0])
    else:
        RingWriter(plane.batch_ring(0)).commit()


def shared_with_device(plane, role):
    return plane.lane_server(0).block["observation"] if role == "inference" else plane.batch_ring(0).payloads[0]


LOWER = {"inference": "lower topology.trees_per_lane", "learner": "lower learner.batch_size"}


@pytest.mark.parametrize(
    ("role", "fault", "said", "remedy"),
    [
        ("inference", {"device": "cuda:7"}, "CUDA error: invalid device ordinal", "name other devices"),
        ("learner", {"device": "cuda:7"}, "CUDA error: invalid device ordinal", "name other devices"),
        ("inference", {"first": busy}, BUSY, "another process has it for itself: end that"),
        ("learner", {"first": busy}, BUSY, "another process has it for itself: end that"),
        ("inference", {"first": lambda _: fill_up()}, FULL, LOWER["inference"]),
        ("learner", {"first": lambda _: fill_up()}, FULL, LOWER["learner"]),
        ("inference", {"first": full_at_capture}, FULL, LOWER["inference"]),
        ("inference", {"first": no_graphs, "then": lambda _: fill_up()}, FULL, LOWER["inference"]),
        ("learner", {"then": lambda _: fill_up()}, FULL, LOWER["learner"]),
        ("inference", {"then": lost}, LOST, "the device failed: start again"),
        ("learner", {"then": lost}, LOST, "the device failed: start again"),
    ],
)
def test_role_on_a_bad_gpu_ends_with_75_and_a_line_that_says_what_to_do(ended, role, fault, said, remedy):
    code, message = ended(role, **fault)
    assert isinstance(message, Failed)
    assert code == message.exit_code == ExitCode.DEVICE
    assert message.summary.startswith(f"DeviceError: {said}") and remedy in message.summary
    assert "\n" not in message.summary


@pytest.mark.parametrize(
    ("role", "fault"), [("inference", {}), ("learner", {}), ("inference", {"then": lambda _: fill_up()})]
)
def test_role_on_a_good_gpu_ends_well_and_captured_inference_needs_no_more_memory_for_its_batches(ended, role, fault):
    code, message = ended(role, **fault)
    assert (code, type(message).__name__) == (ExitCode.FINISHED, "Ready")
