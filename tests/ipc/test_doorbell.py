"""Doorbells: no ring is lost, every wait is bounded."""

import time

import numpy as np
import pytest

from mzpipe.ipc.doorbell import Doorbell, doorbell_layout
from tests.ipc.peer import WAIT, open_arrays
from tests.ipc.processes import peer

SHORT = {"spin_ns": 1_000, "yield_ns": 2_000, "timeout_ns": 20_000_000}


def test_wait_returns_at_once_when_the_ring_came_before_it():
    bell = Doorbell(np.zeros((1, 16), np.int64), 0)
    seen = bell.sequence()
    bell.ring()
    assert bell.wait(seen, **WAIT)


def test_wait_ends_with_false_when_no_ring_comes():
    bell = Doorbell(np.zeros((1, 16), np.int64), 0)
    bell.wait(bell.sequence(), **SHORT)  # compiled and loaded
    start_s = time.monotonic()
    assert not bell.wait(bell.sequence(), **SHORT)
    assert time.monotonic() - start_s > 0.015


def test_wait_misses_a_ring_when_the_sequence_is_read_after_the_work():
    """The control: a wait that reads the sequence after the lap and not before it sleeps through a ring in the lap."""
    bell = Doorbell(np.zeros((1, 16), np.int64), 0)
    before = bell.sequence()
    bell.ring()  # during the lap
    assert not bell.wait(bell.sequence(), **SHORT)
    assert bell.wait(before, **SHORT)


def test_own_clears_what_a_former_owner_left_in_its_sleep():
    words = np.zeros((1, 16), np.int64)
    words[0, 1] = 1
    Doorbell(words, 0).own()
    assert words[0, 1] == 0


@pytest.mark.slow
def test_doorbells_lose_no_wake_up_between_two_processes(shm_path):
    count = 20_000
    words = open_arrays(shm_path, "bells", doorbell_layout(2), create=True)["words"]
    mine, other = Doorbell(words, 0), Doorbell(words, 1)
    with peer("answer_doorbell", shm_path, count) as process:
        for number in range(count):
            other.ring()
            patience = WAIT if number else {**WAIT, "timeout_ns": 30_000_000_000}  # the peer starts and compiles
            assert mine.sequence() != number or mine.wait(number, **patience), f"round trip {number}"
        assert process.wait(120) == 0
