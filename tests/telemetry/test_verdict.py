"""The verdict names the busiest role, and predicts what one more process of it would give."""

import pytest

from mzpipe.telemetry.verdict import RoleUse, judge


def use(working, *, processes=1, cpu=0.5, stage="a stage", wait_out=0.0):
    return RoleUse(processes, working, 1.0 - working - wait_out, wait_out, cpu, stage)


def test_the_busiest_role_is_the_bottleneck_and_one_more_gives_what_the_next_allows():
    uses = {
        "learner": use(0.59),
        "inference": use(0.94, stage="inference device"),
        "replay": use(0.1),
        "actor": use(0.29),
    }
    verdict = judge(uses, cores=16)
    assert (verdict.stage, verdict.role) == ("inference device", "inference")
    assert verdict.predicted_speedup == pytest.approx(1.0 / 0.59)
    assert verdict.sentence == (
        "inference-bound: 94% busy, mostly with inference device; learners wait 41%, actors wait 71%; "
        "another inference server (inference.devices, now 1) would give about +69%"
    )


def test_one_more_of_many_gives_little():
    verdict = judge({"actor": use(1.0, processes=4), "inference": use(0.2)}, cores=64)
    assert verdict.predicted_speedup == pytest.approx(1.25)


def test_processors_bound_what_one_more_gives():
    assert judge({"actor": use(1.0, cpu=1.0), "inference": use(0.2)}, cores=2).predicted_speedup == pytest.approx(
        2 / 1.5
    )


def test_full_processors_are_the_limit_whichever_role_is_busiest():
    verdict = judge({"learner": use(0.97, cpu=1.2), "inference": use(0.6, cpu=0.7)}, cores=2)
    assert verdict.predicted_speedup == 1.0
    assert "the processors are the limit: 1.90 of 2 cores are in use (learner 1.20, inference 0.70)" in verdict.sentence


def test_verdict_says_so_when_there_can_be_only_one_of_a_role():
    verdict = judge({"replay": use(0.95, stage="sample"), "actor": use(0.5)}, cores=16)
    assert (verdict.stage, verdict.predicted_speedup) == ("sample", 1.0)
    assert verdict.sentence.endswith("there can be only one such process: less work per item would help")


def test_no_other_rank_is_proposed_where_there_is_no_device_for_it():
    uses = {"learner": use(0.95, stage="learner backward"), "inference": use(0.3)}
    assert judge(uses, cores=16).predicted_speedup > 1.5
    verdict = judge(uses, cores=16, another_rank=False)
    assert verdict.predicted_speedup == 1.0
    assert verdict.sentence.endswith(
        "there is no device for another learner rank (learner.devices, now 1): less work per item would help"
    )
    assert "another actor" in judge({"actor": use(1.0)}, cores=16, another_rank=False).sentence


def test_the_evaluator_is_never_the_bottleneck():
    verdict = judge({"evaluator": use(1.0), "actor": use(0.4, stage="env step")}, cores=16)
    assert verdict.role == "actor"
    assert verdict.sentence.startswith("actor-bound: 40% busy, mostly with env step; another actor")


def test_a_pipeline_that_did_nothing_has_a_verdict_all_the_same():
    assert judge({"actor": use(0.0), "learner": use(0.0)}, cores=2).predicted_speedup == 1.0
