"""The case `games`: both contestants play the same number of moves, and every number has its reference."""

import pytest
from mzbench import games, timing
from mzbench.rates import MZPIPE

pytestmark = pytest.mark.slow  # emulators, and EnvPool's import


def test_quick_measures_both_and_makes_a_picture(monkeypatch):
    monkeypatch.setattr(timing, "ROUND_S", 0.0)
    seen = []
    result = games.measure(quick=True, progress=lambda *shape: seen.append(shape))
    assert [(row.case, row.unit, row.ours.name, row.reference.name) for row in result.comparisons] == [
        ("games/Pong/4", "moves/s", MZPIPE, games.ENVPOOL)
    ]
    assert seen == [(0, 1, "4 x Pong")] and result.notes == []
    assert set(result.panels[0].lines) == {MZPIPE, games.ENVPOOL}


def test_the_case_says_what_to_install_where_envpool_is_missing(monkeypatch):
    monkeypatch.setattr(games, "is_installed", lambda package: False)
    result = games.measure(quick=True, progress=lambda *shape: None)
    assert result.comparisons == [] and "mzpipe[envpool]" in result.notes[0]
