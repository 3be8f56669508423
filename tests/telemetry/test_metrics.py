"""Metrics: each declared once, each with what people need to read it, and the page that is made of them."""

from pathlib import Path

import pytest

from mzpipe.ipc.counters import COUNTERS
from mzpipe.ipc.diagnostics import MODEL_PARTS
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage, StageClock
from mzpipe.telemetry import metrics_page
from mzpipe.telemetry.healthy import HEALTHY
from mzpipe.telemetry.metrics import BY_TAG, EVALUATION_METRICS, METRICS, RATING_METRICS, Metric, read
from mzpipe.telemetry.snapshots import SnapshotMaker
from tests.launch.fakes import Clock
from tests.telemetry.samples import training
from tests.tiny import make_plane, tiny_profile

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ALL = (*METRICS, *EVALUATION_METRICS, *RATING_METRICS)


@pytest.fixture
def measure(tmp_path):
    """Metrics of a pipeline of which every process has done something."""

    def make(*overrides):
        clock = Clock()
        profile = tiny_profile(*overrides)
        plane = make_plane(tmp_path, profile)
        maker = SnapshotMaker(profile, plane, clock.monotonic)
        maker.make("")
        clock.now_s += 2.0
        for member in plane.shape.members():
            counters = plane.counters(member)
            for counter in COUNTERS:
                if member.role in counter.roles:
                    counters.add(counter.name, 100)
        for gauge in plane.diagnostics().values():
            gauge[:] = 3
        return maker.make("").metrics

    return make


def test_no_two_metrics_have_the_same_tag():
    assert len({metric.tag for metric in ALL}) == len(ALL)


def test_every_metric_exists_in_a_pipeline_that_has_everything(measure):
    reanalyzers = ("topology.reanalyzers=1", "reanalyze.fraction=0.5")
    parts = (
        "network.consistency=true",
        "network.reconstruction=true",
        "network.chance_codes=4",
        "actor.resign_below=-0.9",
        "cluster.pods=1",
    )
    values = measure(*reanalyzers, *parts)
    measured = {tag for tag, value in values.items() if value is not None}
    single = {metric.tag for metric in METRICS if not any(letter.isupper() for letter in metric.tag)}
    stages = [stage for stage in Stage if stage.role != "uplink"]  # which is in pods
    assert single <= measured
    assert {f"learner/gradient_norm/{part}" for part in MODEL_PARTS} < measured
    assert {f"stage/{stage.label}/{part}" for stage in stages for part in ("busy", "wait_in", "wait_out")} < measured
    assert not [tag for tag in measured if any(letter.isupper() for letter in tag)]


def test_metric_is_left_out_where_the_run_has_no_such_thing(measure):
    values = measure()
    assert not [
        tag
        for tag in values
        if tag.startswith(("reanalyze/", "resign/"))
        or tag in ("staleness/targets", "loss/consistency", "loss/reconstruction")
    ]
    assert "stage/reanalyze/items_per_s" not in values


def test_metrics_are_rates_means_and_parts_of_the_time(measure):
    values = measure("topology.reanalyzers=2", "reanalyze.fraction=0.5")
    assert values["perf/env_steps_per_s"] == 50.0
    assert values["charts/episodic_return"] == 1.0
    assert values["replay/learner_wait"] == 50.0
    assert values["reanalyze/busy"] == 50.0  # of two, each 100 s in 2 s
    assert values["replay/stale_priorities"] == 0.5
    assert values["replay/refused"] == 100.0
    assert values["learner/value_error/0"] == 3.0


def test_times_on_a_gpu_are_parts_of_the_time_of_the_role_that_has_one(tmp_path):
    clock = Clock()
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    maker = SnapshotMaker(profile, plane, clock.monotonic)
    maker.make("")
    clock.now_s += 2.0
    server, now_ns = Member("inference", 0), iter([0, 2_000_000_000])
    counters = plane.counters(server)
    counters.add("device_time", 1.5)
    counters.add("launch_time", 0.5)
    StageClock(plane._segments.arrays("stages")["words"], plane.index(server), lambda: next(now_ns)).lap(0)
    values = maker.make("").metrics
    assert {tag: value for tag, value in values.items() if "_time/" in tag} == {
        "perf/device_time/inference": 0.75,
        "perf/launch_time/inference": 0.25,
        "perf/host_time/inference": 0.25,
    }


def test_family_has_a_tag_for_every_key():
    family = Metric("a/KEY/b", "", "a family", lambda source: {"x y": source, "z": None})
    assert read([family], 2.0) == {"a/x y/b": 2.0, "a/z/b": None}


def test_snapshot_refuses_a_tag_that_no_metric_has():
    assert training()["loss/total"] == 2.31
    assert training()["loss/consistency"] is None
    with pytest.raises(KeyError, match="loss/totl"):
        training()["loss/totl"]


def test_healthy_range_holds_its_ends():
    clipped = BY_TAG["targets/clipped_fraction"]
    assert [clipped.is_healthy(value) for value in (0.0, 0.01, 0.011)] == [True, True, False]
    assert BY_TAG["loss/total"].is_healthy(1e9)


def test_words_about_health_are_of_metrics_that_have_no_range():
    without_range = {metric.tag for metric in ALL if metric.healthy is None}
    assert set(HEALTHY) - without_range == set()


def test_page_is_what_the_code_declares():
    message = "run: python -m mzpipe.telemetry.metrics_page > docs/metrics.md"
    assert PAGE.read_text() == metrics_page.page(), message


def test_page_has_every_curve_counter_and_stage():
    text = metrics_page.page()
    for name in [*(metric.tag for metric in ALL), *(counter.name for counter in COUNTERS)]:
        assert f"| `{name}` |" in text
    for stage in Stage:
        assert f"| {stage.label} | {stage.role} | {stage.unit} | {stage.meaning} |" in text
