"""The case `deep`: what it compares, and the positions that it searches."""

import numpy as np
from mzbench import timing
from mzbench.deep import case

from mzpipe.trained.trained import load_trained


def test_leaves_are_compared_with_one_leaf_of_the_same_run(monkeypatch):
    monkeypatch.setattr(case, "RUNS", ("tictactoe",))
    monkeypatch.setattr(case, "_SIMULATIONS", (20,))
    monkeypatch.setattr(timing, "ROUND_S", 0.0)
    (row,), notes, (panel,) = case.measure(quick=True, progress=lambda done, total, shape: None)
    assert (row.case, row.unit, row.reference.name) == ("deep/tictactoex20/16", "simulations/s", "one leaf")
    assert notes == [] and [leaves for leaves, _ in panel.lines["mzpipe"]] == [1.0, 16.0]


def test_positions_are_the_same_every_time_and_have_moves():
    agent = load_trained("tictactoe", None, 20)
    for (one_1S, legal_1A), (other_1S, _) in zip(case.positions(agent), case.positions(agent), strict=True):
        np.testing.assert_array_equal(one_1S, other_1S)
        assert legal_1A.any()
