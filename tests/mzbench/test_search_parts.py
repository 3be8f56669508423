"""The case `search-parts`: a row per part and policy, each against the fused kernel."""

import pytest
from mzbench.search import search_parts
from mzbench.search.search_models import Shape


@pytest.mark.slow
def test_measure_has_a_share_of_the_fused_kernel_for_every_part(monkeypatch):
    monkeypatch.setattr(search_parts, "_SHAPE", Shape(3, 4, "flat", 6))
    seen = []
    result = search_parts.measure(quick=True, progress=lambda *words: seen.append(words))
    assert [policy for _, _, policy in seen] == ["puct", "gumbel"]
    names = [row.case for row in result.comparisons]
    assert len(names) == len(set(names)) == 14
    assert "search-parts/gumbel/select" in names
    assert {(row.unit, row.reference.name) for row in result.comparisons} == {("ns", "fused kernel")}
    assert all(row.reference.value > 0.0 for row in result.comparisons)
    assert result.panels == []
