"""The case `sampled`: what it compares, and that one side draws its actions and the other has a list."""

from mzbench import sampled, timing


def test_sampled_searches_are_compared_with_those_of_as_many_listed_actions(monkeypatch):
    monkeypatch.setattr(sampled, "_QUICK_TREES", (2,))
    monkeypatch.setattr(timing, "ROUND_S", 0.0)
    (row,), notes, (panel,) = sampled.measure(quick=True, progress=lambda done, total, shape: None)
    assert (row.case, row.unit) == ("sampled/2x16", "simulations/s")
    assert (row.ours.name, row.reference.name) == ("sampled", "a list")
    assert notes == [] and [trees for trees, _ in panel.lines["sampled"]] == [2.0]


def test_both_sides_search_sixteen_actions_and_only_one_has_candidates():
    for name, candidates in ((sampled.SAMPLED, 16), (sampled.LISTED, 0)):
        searching = sampled.searcher(name, 2).call
        assert searching().visits_BA.shape == (2, 16)
        assert searching.func.__self__.candidates_BX.shape == (2, candidates)
