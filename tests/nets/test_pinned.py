"""Memory that a GPU's driver pins: registered once, given back, and slow but right where the driver refuses."""

import numpy as np
import pytest
import torch

from mzpipe.learner.batches import pin_memory
from mzpipe.nets.pinned import register
from tests.nets.driver import install

GPU, CPU = torch.device("cuda:1"), torch.device("cpu")


@pytest.fixture
def driver(monkeypatch):
    return install(monkeypatch)


def test_register_pins_the_array_for_all_contexts_on_its_device_until_it_is_closed(driver):
    array, notes = np.zeros((3, 5), np.float32), []
    registered = register(array, GPU, notes.append)
    assert driver.ranges == {array.ctypes.data: 60}
    assert driver.flags == [(GPU, 1)]
    registered.close()
    assert driver.calls == ["synchronize", "unregister"]  # a copy that is on its way still needs the memory
    registered.close()
    assert not driver.ranges and not driver.latched and not notes


def test_register_can_be_repeated_once_the_first_is_closed(driver):
    array, notes = np.zeros(8), []
    for _ in range(3):
        with register(array, GPU, notes.append):
            assert driver.ranges
    assert not driver.ranges and not driver.latched and not notes


def test_register_leaves_memory_that_is_pinned_already_to_its_owner(driver):
    array, notes = np.zeros(8), []
    with register(array, GPU):
        register(array, GPU, notes.append).close()
        assert driver.ranges
    assert not driver.latched and not notes


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (2, "out of memory: raise the limit of locked memory (ulimit -l)"),
        (712, "a part of it is registered already"),
        (999, "error 999"),
    ],
)
def test_register_says_once_why_it_failed_and_leaves_no_error_behind(driver, code, reason):
    driver.code, notes = code, []
    registered = register(np.zeros(1000), GPU, notes.append)
    assert notes == [f"8,000 bytes cannot be registered with cuda:1 ({reason}): copies from them take longer"]
    driver.launch(1, device=GPU)  # raises nothing: the error was taken
    registered.close()
    assert not driver.calls


def test_register_takes_the_error_of_a_memory_that_another_has_unregistered(driver):
    registered = register(np.zeros(8), GPU)
    driver.ranges.clear()
    registered.close()
    assert not driver.latched


def test_close_still_unregisters_when_the_device_is_lost(driver, monkeypatch):
    def lost(device):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    registered = register(np.zeros(8), GPU)
    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    registered.close()
    assert not driver.ranges


def test_register_does_nothing_on_a_cpu():
    register(np.zeros(8), CPU).close()


def test_pin_memory_registers_every_slot_of_a_ring(driver, plane):
    ring = plane.batch_ring(0)
    with pin_memory(ring, GPU):
        assert all(driver.is_pinned(torch.from_numpy(payload[at:])) for payload in ring.payloads for at in (0, -1))
    assert not driver.ranges
