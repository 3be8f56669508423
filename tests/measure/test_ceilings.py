"""Ceilings worked out by hand."""

import json
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import PROGRESS_STAGES, Stage
from mzpipe.measure.ceilings import Below, RoleAlone, StageAlone, make_ceilings
from mzpipe.measure.table import ceilings_table
from mzpipe.telemetry.report import make_report
from tests.telemetry.moments import Pipeline

# What the measured run did in a second: per env step 10 requests, 1 insert and 0.1 training steps.
ITEMS = {
    "actor": (Stage.ENV_STEP, 100),
    "inference": (Stage.INFERENCE_REPLY, 1_000),
    "replay": (Stage.REPLAY_INSERT, 100),
    "learner": (Stage.OPTIMIZER, 10),
}
# What each role can do alone in a second of work: env steps, requests, inserts and training steps.
ALONE = {"actor": 400, "inference": 3_000, "replay": 1_000, "learner": 20}
BELOW = Below(bare_inferences_per_s=4_000.0, ring_transitions_per_s=1e6)


def measured(cores=100, members=None):
    pipeline = Pipeline(*([members] if members else []))
    first = pipeline.moment(0.0)
    for member in pipeline.members:
        if member.role in ITEMS:
            stage, items = ITEMS[member.role]
            pipeline.works(member, stage, 500, items)
            pipeline.waits(member, 500)
    return make_report(first, pipeline.moment(1.0), cores)


def alone(role, items=None, cpu_s=1.0):
    name = PROGRESS_STAGES[role].label
    return RoleAlone(1.0, cpu_s, {name: StageAlone(ALONE[role] if items is None else items, 0.5)})


def all_alone(**changes):
    return {role: changes.get(role) or alone(role) for role in ALONE}


def test_the_lowest_ceiling_is_that_of_the_role_that_can_do_least_per_env_step():
    ceilings = make_ceilings(measured(), all_alone(), BELOW)
    rates = {role: each.env_steps_per_s for role, each in ceilings.roles.items()}
    assert rates == pytest.approx({"actor": 400.0, "inference": 300.0, "replay": 1_000.0, "learner": 200.0})
    assert ceilings.lowest == "learner"
    assert ceilings.lowest_env_steps_per_s == pytest.approx(200.0)
    assert ceilings.efficiency == pytest.approx(0.5)
    assert ceilings.stages["learner optimiser"] == pytest.approx(40.0)
    assert ceilings.inference_through_lanes == pytest.approx(0.75)


def test_processors_bound_what_each_role_alone_does_not():
    # Per env step 1/400 + 1/300 + 1/1000 + 1/200 seconds of a processor.
    ceilings = make_ceilings(measured(cores=2), all_alone(), BELOW)
    assert ceilings.processors_env_steps_per_s == pytest.approx(2 / (1 / 400 + 1 / 300 + 1 / 1_000 + 1 / 200))
    assert ceilings.lowest == "processors"
    assert ceilings.lowest_env_steps_per_s == ceilings.processors_env_steps_per_s
    twice = make_ceilings(measured(cores=2), all_alone(learner=alone("learner", cpu_s=2.0)), BELOW)
    assert twice.processors_env_steps_per_s == pytest.approx(2 / (1 / 400 + 1 / 300 + 1 / 1_000 + 2 / 200))


def test_what_other_roles_took_of_the_processors_is_not_the_pipelines():
    report = measured(cores=2)
    beside = {**report.processes, "evaluator-0": replace(report.processes["evaluator-0"], cpu=0.5)}
    ceilings = make_ceilings(replace(report, processes=beside), all_alone(), BELOW)
    assert ceilings.processors_env_steps_per_s == pytest.approx(1.5 / (1 / 400 + 1 / 300 + 1 / 1_000 + 1 / 200))


def test_processes_of_a_role_add_up_but_ranks_take_every_step_together():
    members = tuple(
        Member(*each)
        for each in (("learner", 0), ("learner", 1), ("inference", 0), ("replay", 0), ("actor", 0), ("actor", 1))
    )
    report = measured(members=members)  # both actors play 100, both ranks take the same ten steps
    ceilings = make_ceilings(report, all_alone(), BELOW)
    assert report.env_steps_per_s == 200.0
    assert ceilings.roles["actor"].env_steps_per_s == pytest.approx(800.0)
    assert ceilings.roles["learner"].items_per_s == pytest.approx(20.0)
    assert ceilings.roles["learner"].env_steps_per_s == pytest.approx(400.0)
    assert ceilings.roles["learner"].cpu_s_per_env_step == pytest.approx(2 / 20 * 10 / 200)


def test_a_role_without_work_per_env_step_bounds_nothing_and_a_stage_without_items_has_no_rate():
    report = measured()
    idle = {**report.stages, "learner optimiser": replace(report.stages["learner optimiser"], items_per_s=0.0)}
    learner = alone("learner")
    learner = replace(learner, stages={**learner.stages, "publish": StageAlone(0, 0.0)})
    ceilings = make_ceilings(replace(report, stages=idle), all_alone(learner=learner), BELOW)
    assert ceilings.roles["learner"].env_steps_per_s == float("inf")
    assert ceilings.lowest == "inference"
    assert ceilings.stages["publish"] is None
    assert ceilings.as_json()["roles"]["learner"]["env_steps_per_s"] is None
    json.dumps(ceilings.as_json(), allow_nan=False)


def test_what_a_file_has_and_what_the_terminal_shows():
    ceilings = make_ceilings(measured(), all_alone(), BELOW)
    fields = ceilings.as_json()
    assert {"stages", "roles", "processors_env_steps_per_s", "lowest", "efficiency", "below"} <= fields.keys()
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(ceilings_table(ceilings))
    lines = capture.get().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [*ALONE, "processors"]
    assert max(map(len, lines)) <= 80


def test_alone_survives_the_way_through_a_file():
    assert RoleAlone.of(asdict(alone("actor"))) == alone("actor")
