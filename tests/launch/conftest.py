"""The supervisor's tests leave nothing in /dev/shm."""

import pytest


@pytest.fixture(autouse=True)
def guarded(nothing_left):
    """Guards every test."""
