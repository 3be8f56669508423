"""The stand-in itself: late copies, hazards, latched errors, limits, counts."""

import numpy as np
import pytest
import torch

from tests.stand_in_gpu import counted

pytestmark = pytest.mark.on_gpu
CUDA = torch.device("cuda:0")


def pinned(*values):
    return torch.tensor(values).pin_memory()


def on_side(function, *arguments):
    """The function's result, called on a stream of its own, and an event after it."""
    with torch.cuda.stream(torch.cuda.Stream()):
        return function(*arguments), torch.cuda.current_stream().record_event()


def to_device(host):
    return host.to(CUDA, non_blocking=True)


def test_copy_from_pinned_memory_is_there_for_the_kernels_after_it():
    assert to_device(pinned(1.0, 2.0)).add(1).tolist() == [2, 3]


def test_use_of_what_another_stream_writes_is_refused_without_a_wait_for_its_event():
    batch, copied = on_side(to_device, pinned(1.0, 2.0))
    with pytest.raises(torch.AcceleratorError, match="memory that another stream uses: wait for its event before"):
        batch.add(1)
    torch.cuda.current_stream().wait_event(copied)
    assert batch.add(1).tolist() == [2, 3]


def test_wait_for_an_event_from_before_the_copy_does_not_help():
    side = torch.cuda.Stream()
    early = side.record_event()
    with torch.cuda.stream(side):
        batch = to_device(pinned(5))
    torch.cuda.current_stream().wait_event(early)
    with pytest.raises(torch.AcceleratorError, match="another stream uses"):
        batch.tolist()


def test_two_streams_may_read_at_once_but_not_write():
    value, side = torch.ones(2, device=CUDA), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        value.add(1)
    value.add(1)
    with pytest.raises(torch.AcceleratorError, match="another stream uses"):
        value.add_(1)
    side.synchronize()
    value.add_(1)


def test_copy_from_memory_that_is_not_pinned_blocks():
    with counted() as seen:
        batch = to_device(torch.tensor([3.0]))
        assert batch.tolist() == [3]
    assert (seen.h2d_pageable, seen.h2d_async) == (1, 0)


def test_copy_to_pinned_memory_is_nan_until_the_host_waits():
    answer = (torch.ones(2, device=CUDA) * 3).to("cpu", non_blocking=True)
    assert answer.is_pinned() and answer.isnan().all()
    torch.cuda.current_stream().synchronize()
    assert answer.tolist() == [3, 3]


def test_copy_to_pinned_memory_has_the_values_of_its_time():
    value = torch.ones(2, device=CUDA)
    answer, done = torch.empty(2, pin_memory=True), torch.cuda.Event()
    answer.copy_(value, non_blocking=True)
    done.record()
    value.zero_()
    assert [done.query(), answer.isnan().all().item(), done.query(), answer.tolist()] == [False, True, True, [1, 1]]


def test_events_tell_the_time_of_the_kernels_between_them_once_both_have_happened():
    torch.ops.stand_in_gpu.set_pace(250)
    begun, ended, untimed = (torch.cuda.Event(enable_timing=timed) for timed in (True, True, False))
    untimed.record()
    begun.record()
    (torch.ones(3, device=CUDA) + 1).mul_(2)
    ended.record()
    with pytest.raises(RuntimeError, match="device not ready"):
        begun.elapsed_time(ended)
    assert [ended.query(), ended.query(), begun.elapsed_time(ended)] == [False, True, 0.75]
    with pytest.raises(RuntimeError, match="an event without timing"):
        untimed.elapsed_time(ended)


def test_wait_of_the_host_tells_of_memory_that_was_overwritten_before_it():
    host = pinned(1.0, 2.0)
    batch, copied = on_side(to_device, host)
    torch.cuda.current_stream().wait_event(copied)
    batch.add(1)
    host[0] = 5
    with pytest.raises(RuntimeError, match="host memory was overwritten before the copy from it was known"):
        torch.cuda.synchronize()


def test_host_memory_may_be_overwritten_after_a_wait_for_the_copy():
    host = pinned(1.0, 2.0)
    batch, copied = on_side(to_device, host)
    copied.synchronize()
    host[0] = 5
    torch.cuda.synchronize()
    assert batch.tolist() == [1, 2]


@pytest.mark.parametrize("recorded", [False, True])
def test_memory_that_another_stream_uses_may_be_freed_only_after_record_stream(recorded):
    batch, made = on_side(lambda: torch.ones(2, device=CUDA))
    torch.cuda.current_stream().wait_event(made)
    batch.add(1)
    if recorded:
        batch.record_stream(torch.cuda.current_stream())
    del batch
    if recorded:
        torch.zeros(1, device=CUDA)
    else:
        with pytest.raises(torch.AcceleratorError, match="call record_stream before"):
            torch.zeros(1, device=CUDA)


def test_registration_is_refused_twice_and_the_next_launch_raises_it():
    memory, runtime = np.zeros(1000), torch.cuda.cudart()
    start = memory.ctypes.data
    assert runtime.cudaHostRegister(start, 4000, 0) == 0
    assert torch.from_numpy(memory).is_pinned()
    assert runtime.cudaHostRegister(start + 800, 4000, 0) == 712
    with pytest.raises(torch.AcceleratorError, match="part or all of the requested memory range is already mapped"):
        torch.zeros(1, device=CUDA)
    torch.zeros(1, device=CUDA)
    assert [runtime.cudaHostUnregister(start) for _ in range(2)] == [0, 713]
    assert not torch.from_numpy(memory).is_pinned()


def test_counts_of_launches_copies_and_waits():
    pageable, host = torch.ones(2), pinned(1.0, 2.0)
    with counted() as seen:
        one = pageable.to(CUDA)
        other = to_device(host)
        (one + other).sum().item()
        one.cpu()
        torch.cuda.synchronize()
    assert (seen.launches, seen.h2d_blocking, seen.h2d_async, seen.d2h_blocking) == (2, 1, 1, 1)
    assert seen.syncs == 4
    assert seen.by_name["launches aten::sum"] == 1


def test_mask_as_an_index_waits_for_the_device():
    values = torch.arange(4, device=CUDA)
    with counted() as seen:
        picked = values[values > 1]
    assert (picked.tolist(), seen.syncs) == ([2, 3], 1)
    with counted() as seen:
        values[values > 1] = torch.zeros(2, dtype=torch.long, device=CUDA)
    assert seen.syncs == 1


def test_tensors_of_two_devices_are_refused():
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        torch.ones(2, device=CUDA) + torch.ones(2)


def test_memory_that_nobody_wrote_is_nan():
    assert torch.empty(3, device=CUDA).isnan().all()


@pytest.mark.on_gpu(gpus=2, num_bytes=1_000_000, bfloat16=False)
def test_memory_is_limited_and_what_is_freed_can_be_used_again():
    kept = torch.ones(200_000, device=CUDA)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        kept + 1
    torch.ones(200_000, device="cuda:1")
    assert torch.cuda.mem_get_info() == (200_000, 1_000_000)
    del kept
    torch.ones(200_000, device=CUDA).relu_()


@pytest.mark.on_gpu(gpus=2, num_bytes=1_000_000, bfloat16=False)
def test_second_device_and_a_card_without_bfloat16():
    assert (torch.cuda.device_count(), torch.cuda.is_bf16_supported(including_emulation=False)) == (2, False)
    with torch.cuda.device(1):
        assert torch.zeros(1, device="cuda").device.index == torch.cuda.current_device() == 1
    assert torch.cuda.current_device() == 0
    with pytest.raises(RuntimeError, match="same device"):
        torch.zeros(2, device="cuda:0") + torch.zeros(2, device="cuda:1")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        torch.zeros(1, device="cuda:2")
