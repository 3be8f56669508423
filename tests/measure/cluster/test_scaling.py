"""The table of what more and more pods would bring."""

import re
from pathlib import Path

from mzpipe.measure.cluster.cargo import cargo_of
from mzpipe.measure.cluster.forecast import Cluster
from mzpipe.measure.cluster.scaling import HEADS, scaling_rows
from tests.measure.cluster.test_lines import RATES, shape_of
from tests.tiny import tiny_profile


def test_rate_rises_with_pods_until_the_learner_bounds_it():
    profile = tiny_profile("cluster.pods=1", "cluster.link_mbit=100.0")
    shape = shape_of(profile)
    rows = list(scaling_rows(profile, Cluster.of(profile, shape), RATES, cargo_of(profile, shape), pods=(1, 2, 4)))
    assert [row[:3] for row in rows] == [("1", "200", "playing"), ("2", "300", "playing"), ("4", "350", "learner")]
    assert all(len(row) == len(HEADS) for row in rows)


def test_page_has_the_table_with_these_heads():
    page = (Path(__file__).parents[3] / "docs" / "ray.md").read_text()
    assert re.search(re.escape(" | ".join(HEADS)), page)
