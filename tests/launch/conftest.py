"""A guard over /dev/shm for the supervisor's tests."""

import pytest

from tests.leftovers import runtime_directories, unexplained


@pytest.fixture(autouse=True)
def nothing_left():
    before = runtime_directories()
    yield
    assert unexplained(before) == set()
