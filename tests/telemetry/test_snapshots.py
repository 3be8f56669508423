"""From counters to snapshots: rates over the recent past, means over what happened in it, limits."""

import math

import pytest

from mzpipe.ipc.messages import Evaluated
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.runs.directory import RunDirectory
from mzpipe.runs.scores import Evaluation, read_scores
from mzpipe.telemetry import reports as reports_module
from mzpipe.telemetry.loggers import Loggers
from mzpipe.telemetry.reports import Reached, Reports
from mzpipe.telemetry.snapshot import PodState
from mzpipe.telemetry.snapshots import SnapshotMaker
from tests.launch.fakes import Clock, Screen
from tests.tiny import make_plane, tiny_profile

NEW_RUN = Reached(env_steps=0, learner_steps=0, best_return_mean=None)
EVALUATION = Evaluation(
    weights_version=3, learner_steps=40, env_steps=500, return_mean=12.5, return_std=1.0, episodes=2
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def maker(profile, plane, clock):
    return SnapshotMaker(profile, plane, clock.monotonic)


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def make_reports(tmp_path, screen):
    made = []

    def make(*overrides, reached=NEW_RUN, **options):
        profile = tiny_profile(*overrides)
        for name in ("runtime", "run"):
            (tmp_path / name).mkdir()
        plane = make_plane(tmp_path / "runtime", profile)
        made.append(Reports(profile, plane, RunDirectory(tmp_path / "run"), screen, reached, **options))
        made[-1].plane = plane
        return made[-1]

    yield make
    for reports in made:
        reports.close()


def actor(plane):
    return plane.counters(Member("actor", 0))


def learner(plane):
    return plane.counters(Member("learner", 0))


def test_reports_tell_once_that_targets_are_clipped_and_which_fields_to_raise(make_reports, screen):
    reports = make_reports()
    clipped, targets = learner(reports.plane), reports.plane.counters(Member("replay", 0))
    reports.tick(lambda: None)
    for count in (0, 1, 3):
        targets.add("targets", 1000)
        clipped.add("clipped_targets", count)
        reports._view_due_s = 0.0
        reports.tick(lambda: None)
    told = [line for line in screen.lines if "clipped" in line]
    assert len(told) == 1
    assert "raise network.value_support_size (now 10: values up to " in told[0]
    assert "network.reward_support_size (now 3: rewards up to " in told[0]


def test_first_snapshot_measures_nothing(maker):
    snapshot = maker.make("starting")
    assert snapshot["perf/env_steps_per_s"] == snapshot["perf/learner_steps_per_s"] == 0.0
    assert [snapshot[f"charts/{name}"] for name in ("episodic_return", "episode_length")] == [None, None]
    assert snapshot["replay/samples_per_insert"] is snapshot["staleness/weights_versions"] is None
    assert snapshot.losses == {}
    assert snapshot.note == "starting"


def test_snapshot_gives_rates_per_second_of_the_past(maker, plane, clock):
    maker.make("")
    clock.now_s += 4.0
    actor(plane).add("env_steps", 200)
    learner(plane).set("learner_steps", 10)
    snapshot = maker.make("")
    assert snapshot.elapsed_s == 4.0
    assert snapshot.env_steps == 200
    assert snapshot["perf/env_steps_per_s"] == pytest.approx(50.0)
    assert snapshot["perf/learner_steps_per_s"] == pytest.approx(2.5)
    assert snapshot["stage/actor/items_per_s"] == pytest.approx(50.0)


def test_snapshot_forgets_what_is_older_than_the_window(maker, plane, clock):
    maker.make("")
    actor(plane).add("env_steps", 1_000_000)
    clock.now_s += 1.0
    maker.make("")
    for _ in range(10):
        clock.now_s += 1.0
        actor(plane).add("env_steps", 7)
        snapshot = maker.make("")
    assert snapshot["perf/env_steps_per_s"] == pytest.approx(7.0)


def test_snapshot_keeps_the_last_one_however_long_ago_it_was(maker, plane, clock):
    maker.make("")
    clock.now_s += 60.0
    actor(plane).add("env_steps", 120)
    assert maker.make("")["perf/env_steps_per_s"] == pytest.approx(2.0)


def test_snapshot_from_the_start_is_of_the_whole_session(maker, plane, clock):
    stages = plane.stage_clock(Member("actor", 0))
    actor(plane).add("env_steps", 30)
    stages._last_ns -= 2_000_000_000
    stages.lap(1)
    maker.from_the_start()
    assert maker.make("")["perf/env_steps_per_s"] == pytest.approx(15.0, rel=0.05)


def test_snapshot_has_each_pods_rate_weights_and_what_is_on_its_way(tmp_path, clock):
    profile = tiny_profile("cluster.pods=2")
    plane = make_plane(tmp_path, profile)
    maker = SnapshotMaker(profile, plane, clock.monotonic)
    row = plane.pod_row(1)
    row.node, row.is_linked = "node-b", True
    row.begin(7)
    maker.make("")
    plane.counters(Member("learner", 0)).set("weights_version", 12)
    row.tell((300, *[0] * 7), 9)
    row.received(280)
    clock.now_s += 2.0
    first, second = maker.make("").pods
    assert first == PodState("", False, 0.0, 12, 0)
    assert second == PodState("node-b", True, 150.0, 3, 20)


def test_snapshot_of_a_run_without_pods_has_none(maker):
    assert maker.make("").pods == ()


def test_snapshot_counts_a_resumed_run_s_steps_but_not_in_its_rates(profile, plane, clock):
    actor(plane).set("env_steps", 5_000)
    maker = SnapshotMaker(profile, plane, clock.monotonic)
    maker.make("")
    clock.now_s += 2.0
    actor(plane).add("env_steps", 10)
    snapshot = maker.make("")
    assert snapshot.env_steps == 5_010
    assert snapshot["perf/env_steps_per_s"] == pytest.approx(5.0)


def test_snapshot_has_the_time_of_every_stage_under_its_tag(maker, plane, clock):
    assert not [tag for tag in maker.make("").metrics if tag.endswith("/busy") and "stage" in tag]
    stages = plane.stage_clock(Member("actor", 0))
    stages.start()
    stages.end(Stage.ENV_STEP, 8)
    stages.lap(1)
    clock.now_s += 1.0
    metrics = maker.make("").metrics
    assert metrics["stage/env step/busy"] > 0.0
    assert metrics["stage/env step/wait_in"] == metrics["stage/learner backward/busy"] == 0.0
    assert {f"stage/sample/{part}" for part in ("busy", "wait_in", "wait_out")} <= set(metrics)


def test_snapshot_gives_means_over_what_happened_since(maker, plane, clock):
    maker.make("")
    clock.now_s += 1.0
    actor(plane).add("episodes", 2)
    actor(plane).add("episode_return", 30.5)
    actor(plane).add("episode_length", 31)
    learner(plane).add("loss_steps", 4)
    learner(plane).add("loss_total", 10.0)
    snapshot = maker.make("")
    assert snapshot["charts/episodic_return"] == pytest.approx(15.25)
    assert snapshot["charts/episode_length"] == pytest.approx(15.5)
    assert snapshot.losses["total"] == pytest.approx(2.5)


def test_snapshot_counts_restarts_of_every_process(maker, plane):
    actor(plane).add("restarts", 2)
    plane.counters(Member("evaluator", 0)).add("restarts")
    assert maker.make("").restarts == 3


def test_snapshot_leaves_the_warm_up_out_of_samples_per_insert(maker, plane, profile):
    replay = plane.counters(Member("replay", 0))
    replay.set("inserted", profile.replay.min_size_to_sample + 10)
    replay.set("sampled", 40)
    assert maker.make("")["replay/samples_per_insert"] == pytest.approx(4.0)


def test_limits_hold_every_stop_condition_that_is_set_and_no_other(plane, clock):
    maker = SnapshotMaker(tiny_profile("stop.minutes=2.0", "stop.return_mean=99.0"), plane, clock.monotonic)
    clock.now_s += 30.0
    learner(plane).set("learner_steps", 4)
    limits = maker.limits()
    assert set(limits) == {"learner_steps", "minutes", "return_mean"}
    assert limits["learner_steps"] == (4, 10)
    assert limits["minutes"] == (pytest.approx(0.5), 2.0)
    assert math.isnan(limits["return_mean"][0])
    maker.evaluation = EVALUATION
    assert maker.limits()["return_mean"] == (12.5, 99.0)


@pytest.mark.parametrize(("steps", "reached"), [(9, None), (10, "stop.learner_steps=10 reached"), (11, "stop.")])
def test_limit_reached_says_which_one(make_reports, steps, reached):
    reports = make_reports()
    learner(reports.plane).set("learner_steps", steps)
    limit = reports.limit_reached()
    assert limit == reached if reached is None else limit.startswith(reached)


def test_limit_reached_leaves_the_return_to_the_evaluation(make_reports):
    reports = make_reports("stop.return_mean=1.0")
    reports.evaluation(Evaluated(3, 5, 500, 12.5, 1.0, 2, True, "greedy"))
    assert reports.limit_reached() is None


def test_reports_continue_where_the_last_session_stopped(make_reports):
    reports = make_reports(
        "stop.learner_steps=1000", reached=Reached(env_steps=700, learner_steps=90, best_return_mean=3.0)
    )
    assert actor(reports.plane).get("env_steps") == 700
    assert learner(reports.plane).get("learner_steps") == 90


def test_evaluation_is_shown_and_written_to_the_scores(make_reports, screen, tmp_path):
    reports = make_reports()
    reports.evaluation(Evaluated(3, 40, 500, 12.5, 1.0, 2, True, "greedy"))
    assert read_scores(tmp_path / "run" / "scores.csv") == [EVALUATION]
    assert screen.lines == [
        "evaluation at learner step 40: mean return 12.5 +- 1.00 over 2 greedy episodes, the best so far"
    ]


def test_evaluation_of_an_atari_game_is_written_with_its_human_normalised_score(make_reports, tmp_path):
    reports = make_reports("game.name=ALE/Pong-v5")
    reports.evaluation(Evaluated(3, 40, 500, 14.6, 1.0, 2, True, "greedy"))
    assert read_scores(tmp_path / "run" / "scores.csv")[0].human_normalised == 1.0


def test_evaluation_is_written_with_the_name_of_its_protocol(make_reports, tmp_path):
    reports = make_reports("game.name=Pong", "game.protocol=atari100k")
    reports.evaluation(Evaluated(3, 40, 500, 12.5, 1.0, 2, True, "atari100k"))
    assert read_scores(tmp_path / "run" / "scores.csv")[0].protocol == "atari100k"


def test_tick_says_what_the_run_waits_for(make_reports, screen):
    reports = make_reports()
    plane = reports.plane
    plane.counters(Member("replay", 0)).set("inserted", 7)
    reports.tick(lambda: None)
    reports.tick(lambda: "too soon after the last one to be shown")
    assert [snapshot.note for snapshot in screen.snapshots] == ["waiting for replay: 7 of 20 transitions"]


def test_reports_say_once_when_the_first_env_step_of_the_session_came(make_reports, screen, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(reports_module, "time", clock)
    reports = make_reports(reached=Reached(700, 90, None, began_s=clock.now_s - 2.0))
    reports.tick(lambda: None)
    assert screen.lines == []
    clock.now_s += 3.84
    actor(reports.plane).add("env_steps")
    for _ in range(2):
        reports.tick(lambda: None)
        actor(reports.plane).add("env_steps")
    assert screen.lines == ["first env step after 5.8 s"]


def test_reports_do_not_mention_the_first_env_step_when_the_start_time_is_unknown(make_reports, screen):
    reports = make_reports()
    actor(reports.plane).add("env_steps")
    reports.tick(lambda: None)
    assert screen.lines == []


def test_loggers_are_told_how_long_the_run_has_been_stopping_when_they_are_closed(make_reports):
    clock, closed = Clock(), []
    loggers = Loggers()
    loggers.close = closed.append
    reports = make_reports(clock=clock.monotonic, loggers=loggers)
    reports.stopping()
    clock.now_s += 7.0
    reports.close()
    assert closed == [7.0]
