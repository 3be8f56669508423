"""Fixtures of the benchmarks' tests."""

import os
from unittest import mock

import pytest
from mzbench.report import Comparison, Measured


@pytest.fixture(autouse=True)
def private_environment(tmp_path):
    """Gives the test its own environment, which a command may change, and its own kernel cache."""
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(tmp_path / "cache")}):
        yield


@pytest.fixture
def comparison():
    """Ours is one and a half times the reference."""
    return Comparison("search/puct/2x3/flat", "simulations/s", Measured("us", 3000.0, 0.04), Measured("them", 2e3, 0.2))
