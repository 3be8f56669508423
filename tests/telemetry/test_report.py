"""A report is the difference of two moments, and its parts add up."""

import json

import pytest
from rich.console import Console

from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.measure.table import profile_table
from mzpipe.telemetry.rates import DeviceTime
from mzpipe.telemetry.report import make_report, whole_report
from tests.telemetry.moments import MS, Pipeline, busy_second

WORKING_MS = {"learner": 200, "inference": 900, "replay": 50, "actor": 400, "evaluator": 1_000}
ACTOR, SERVER, LEARNER = Member("actor", 0), Member("inference", 0), Member("learner", 0)


@pytest.fixture
def report():
    pipeline = Pipeline()
    pipeline.works(ACTOR, Stage.ENV_STEP, 5_000, items=99)  # before the first moment: counts for nothing
    first = pipeline.moment(100.0, {ACTOR: 7.0, SERVER: 1.0})
    busy_second(pipeline, WORKING_MS)
    busy_second(pipeline, WORKING_MS)
    return make_report(first, pipeline.moment(102.0, {ACTOR: 7.5, SERVER: 2.5, LEARNER: 1.0}), cores=8)


def test_rates_are_items_over_seconds():
    pipeline = Pipeline()
    first = pipeline.moment(100.0)
    for stage, items in ((Stage.TREE, 26 * 30), (Stage.ROOT_SEARCH, 30), (Stage.ENV_STEP, 30)):
        pipeline.works(ACTOR, stage, 1, items)
    pipeline.works(Member("replay", 0), Stage.REPLAY_INSERT, 1, 40)
    pipeline.works(Member("replay", 0), Stage.REPLAY_SAMPLE, 1, 160)
    pipeline.works(LEARNER, Stage.OPTIMIZER, 1, 5)
    report = make_report(first, pipeline.moment(102.0), cores=8)
    assert (report.env_steps_per_s, report.simulations_per_s, report.learner_steps_per_s) == (15.0, 375.0, 2.5)
    assert report.samples_per_insert == 4.0
    assert report.stages["env step"].items_per_s == 15.0
    assert report.stages["publish"].items_per_s == 0.0


def test_a_whole_session_is_reported_from_its_last_moment_alone():
    pipeline = Pipeline()
    busy_second(pipeline, WORKING_MS)
    pipeline.works(ACTOR, Stage.ENV_STEP, 1_000, items=8)
    report = whole_report(pipeline.moment(0.0), cores=2)
    assert report.seconds == pytest.approx(2.0)
    assert report.env_steps_per_s == pytest.approx(4.0)
    assert report.processes["actor-0"].wait_in == pytest.approx(0.3)
    assert report.stages["inference device"].busy == pytest.approx(0.9)
    assert report.processes["actor-0"].cpu is None


def test_the_parts_of_every_process_and_of_every_stage_add_up(report):
    for use in report.processes.values():
        assert use.busy + use.wait_in + use.wait_out + use.other == pytest.approx(1.0)
    for use in report.stages.values():
        assert use.busy + use.wait_in + use.wait_out + use.elsewhere == pytest.approx(1.0)
    assert report.stages["inference device"].busy == pytest.approx(0.9)
    assert report.stages["inference gather"].elsewhere == pytest.approx(0.9)
    assert report.processes["actor-0"].wait_in == pytest.approx(0.6)


def test_cpu_is_in_cores_and_of_those_processes_that_could_be_looked_at(report):
    assert report.processes["actor-0"].cpu == 0.25
    assert report.processes["inference-0"].cpu == 0.75
    assert report.processes["learner-0"].cpu is None


def test_latencies_are_those_of_calls(report):
    device = report.stages["inference device"]
    assert device.p50_us == pytest.approx(900e3, rel=0.25)
    assert report.stages["publish"].p50_us is None


def test_processes_of_one_role_are_one_row_and_a_role_that_does_not_run_has_none():
    actors = (Member("actor", 0), Member("actor", 1))
    pipeline = Pipeline((*actors, LEARNER))
    first = pipeline.moment(0.0)
    pipeline.works(actors[0], Stage.TREE, 1_000, items=4)
    pipeline.waits(actors[1], 1_000, blocked=True)
    pipeline.waits(LEARNER, 1_000)
    report = make_report(first, pipeline.moment(1.0), cores=2)
    tree = report.stages["select/backup"]
    assert (tree.busy, tree.wait_in, tree.wait_out) == pytest.approx((0.5, 0.0, 0.5))
    assert tree.items_per_s == 4.0
    assert {use.role for use in report.stages.values()} == {"actor", "learner"}


def test_a_process_that_accounts_for_nothing_is_no_bottleneck():
    """The process was dead, or one of its calls outlasts the report."""
    pipeline = Pipeline((LEARNER, ACTOR))
    first = pipeline.moment(0.0)
    pipeline.works(ACTOR, Stage.TREE, 300)
    pipeline.waits(ACTOR, 700)
    report = make_report(first, pipeline.moment(1.0), cores=2)
    assert (report.processes["learner-0"].busy, report.processes["learner-0"].accounted) == (0.0, 0.0)
    assert report.processes["actor-0"].accounted == pytest.approx(1.0)
    assert report.verdict.role == "actor"


def test_a_call_that_began_before_the_first_moment_leaves_no_part_above_one():
    pipeline = Pipeline((LEARNER,))
    pipeline.now_ns[LEARNER] += 3_000 * MS  # under way
    first = pipeline.moment(0.0)
    pipeline.works(LEARNER, Stage.FORWARD, 1_000)
    pipeline.waits(LEARNER, 1_000)
    report = make_report(first, pipeline.moment(2.0), cores=2)
    assert report.stages["learner forward"].busy == pytest.approx(0.8)
    assert report.processes["learner-0"].accounted == pytest.approx(2.5)


def test_a_process_that_was_started_again_has_no_processor_time():
    pipeline = Pipeline((LEARNER,))
    report = make_report(pipeline.moment(0.0, {LEARNER: 600.0}), pipeline.moment(1.0, {LEARNER: 0.5}, pid=8), cores=2)
    assert report.processes["learner-0"].cpu is None


def test_device_of_a_role_is_the_part_of_its_time_and_its_host_works_beside_the_stages_that_wait(report):
    pipeline = Pipeline((SERVER, LEARNER))
    pipeline.devices[SERVER] = DeviceTime(5.0, 7.0)  # before the first moment: counts for nothing
    first = pipeline.moment(0.0)
    pipeline.devices = {SERVER: DeviceTime(5.3, 7.8), LEARNER: DeviceTime(0.2, 0.1)}
    for stage, milliseconds in (
        (Stage.INFERENCE_GATHER, 150),
        (Stage.INFERENCE_DEVICE, 700),
        (Stage.INFERENCE_REPLY, 50),
    ):
        pipeline.works(SERVER, stage, milliseconds)
    for stage in (Stage.BATCH_COPY, Stage.FORWARD, Stage.BACKWARD, Stage.OPTIMIZER):
        pipeline.works(LEARNER, stage, 100)
    for member, milliseconds in ((SERVER, 100), (LEARNER, 600)):
        pipeline.waits(member, milliseconds)
    measured = make_report(first, pipeline.moment(1.0), cores=8)
    assert measured.devices["inference"] == pytest.approx((0.8, 0.3, 0.3 + 0.2))
    assert measured.devices["learner"] == pytest.approx((0.1, 0.2, 0.2 + 0.1))
    assert not measured.devices["inference"].is_launch_bound and measured.devices["learner"].is_launch_bound
    assert "compute-bound" in measured.verdict.sentence
    fields = json.loads(json.dumps(measured.as_json()))["devices"]
    assert fields["inference"] == pytest.approx({"device": 0.8, "launching": 0.3, "host": 0.5})
    assert whole_report(pipeline.moment(1.0), cores=8).devices["learner"].device == pytest.approx(0.1)
    assert not report.devices and "devices" not in report.as_json()


def test_json_has_the_agreed_names(report):
    fields = json.loads(json.dumps(report.as_json()))
    agreed = {
        "env_steps_per_s",
        "simulations_per_s",
        "learner_steps_per_s",
        "samples_per_insert",
        "bottleneck",
        "stages",
    }
    assert agreed <= set(fields)
    assert fields["bottleneck"] == "inference device"
    assert not {"roles", "histograms", "over_time"} & set(fields)  # these are for the page, and large
    of_a_stage = {"items_per_s", "unit", "busy", "wait_in", "wait_out", "p50_us", "p99_us"}
    assert all(of_a_stage <= set(stage) for stage in fields["stages"].values())


def test_table_shows_every_stage_whole_in_80_columns(report):
    console = Console(width=80)
    with console.capture() as capture:
        console.print(profile_table(report))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    for stage in Stage:
        if stage.role not in ("reanalyzer", "gateway", "uplink"):
            assert any(line.startswith(stage.label) for line in lines)
    (device,) = [line for line in lines if line.startswith("inference device")]
    assert device.split() == ["inference", "device", "10", "90%", "10%", "0%", *device.split()[-4:]]
    assert device.split()[-3] == "ms"
