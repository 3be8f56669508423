"""Records with impossible numbers are refused, and the fault is named."""

import re

import numpy as np
import pytest

from mzpipe.ipc.columns import named
from mzpipe.replay.store import fault_of
from tests.replay.episodes import random_episode, records


def a_record(length=5):
    return next(iter(records(random_episode(np.random.default_rng(0), length, "terminated"), 0)))


def test_whole_records_pass():
    assert fault_of(a_record()) is None
    assert fault_of(a_record(length=2)) is None


def test_policies_of_capped_searches_pass():
    record = a_record()
    record.steps.search_policy[1:4] = 0.0
    assert fault_of(record) is None


@pytest.mark.parametrize(
    ("field", "place", "value", "fault"),
    [
        ("length", 0, 0, r"length=0, not in 1 .. 5"),
        ("length", 0, 6, r"length=6, not in 1 .. 5"),
        ("end", 0, 3, r"end=3, not in 0 .. 2"),
        ("offset", 0, -1, r"offset=-1"),
        ("episode", 0, -1, r"offset=0, episode=-1: one is negative"),
        ("action", 2, 3, r"action 0 .. 3, not in 0 .. 2|action \d .. 3, not in 0 .. 2"),
        ("action", 2, -1, r"action -1 .. \d, not in 0 .. 2"),
        ("reward", 4, np.nan, "reward holds NaN or infinity"),
        ("root_value", 0, np.inf, "root_value holds NaN or infinity"),
        ("final_value", 0, -np.inf, "final_value=-inf"),
        ("frame", (1, 1), np.nan, "frame holds NaN or infinity"),
        ("search_policy", (3, 0), np.nan, "search_policy holds NaN or infinity"),
        ("search_policy", (3, 0), -0.2, "search_policy is not a distribution"),
        ("search_policy", (3, 0), 2.0, "search_policy is not a distribution"),
    ],
)
def test_fault_names_the_field_and_the_value(field, place, value, fault):
    record = a_record()
    named(record)[field][place] = value
    assert re.match(fault, fault_of(record))


def test_what_lies_after_the_length_is_not_checked():
    record = a_record(length=2)
    record.steps.reward[3] = np.nan
    assert fault_of(record) is None
