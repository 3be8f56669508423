"""The verdict names the busiest role, and predicts what one more process of it would give."""

import pytest

from mzpipe.telemetry.verdict import DeviceUse, Hindrance, RoleUse, judge


def use(working, *, processes=1, cpu=0.5, stage="a stage", wait_out=0.0, device=None):
    return RoleUse(processes, working, 1.0 - working - wait_out, wait_out, cpu, stage, device)


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
    verdict = judge(uses, cores=16, lacking={"learner"})
    assert verdict.predicted_speedup == 1.0
    assert verdict.sentence.endswith(
        "there is no device for another learner rank (learner.devices, now 1): less work per item would help"
    )
    assert "another actor" in judge({"actor": use(1.0)}, cores=16, lacking={"learner"}).sentence


LAUNCHING, COMPUTING = DeviceUse(0.4, launching=0.8, host=0.95), DeviceUse(0.97, launching=0.1, host=0.3)


def test_a_launch_bound_server_may_have_a_second_one_on_its_gpu_as_far_as_the_gpu_goes():
    uses = {"inference": use(1.0, device=LAUNCHING), "actor": use(0.2)}
    verdict = judge(uses, cores=16, lacking={"inference", "learner"})
    assert verdict.predicted_speedup == pytest.approx(2.0)
    assert verdict.sentence == (
        "inference-bound: 100% busy, mostly with a stage; actors wait 80%; launch-bound: the host works 95% of the "
        "time (launching 80%), the GPU 40%; another inference server (inference.devices, now 1) would give about "
        "+100%; captured graphs (a note at the start says where a capture failed) launch less, and larger batches "
        "(topology.trees_per_lane, topology.lanes_per_actor) cost the host no more"
    )
    nearly = use(1.0, device=LAUNCHING._replace(device=0.8))
    assert judge(uses | {"inference": nearly}, 16, lacking={"inference"}).predicted_speedup == pytest.approx(1.25)
    assert judge(uses | {"inference": nearly}, 16).predicted_speedup == pytest.approx(2.0)  # on another GPU


@pytest.mark.parametrize("role", ["inference", "learner"])
def test_a_compute_bound_role_gets_another_process_only_on_another_gpu(role):
    uses = {role: use(1.0, device=COMPUTING), "actor": use(0.2)}
    verdict = judge(uses, cores=16, lacking={"inference", "learner"})
    assert verdict.predicted_speedup == 1.0
    assert "compute-bound: the host works 30% of the time (launching 10%), the GPU 97%" in verdict.sentence
    assert f"there is no device for another {role}" in verdict.sentence
    assert verdict.sentence.endswith(
        f'larger batches do not help, a smaller network, {role}.precision="bfloat16" or a faster GPU does'
    )
    assert judge(uses, cores=16).predicted_speedup == pytest.approx(2.0)


def test_a_launch_bound_learner_gets_graphs_and_no_rank_which_would_launch_as_much():
    verdict = judge({"learner": use(1.0, device=LAUNCHING), "actor": use(0.2)}, cores=16)
    assert verdict.predicted_speedup == 1.0
    assert "another learner rank" not in verdict.sentence
    assert "learner.cuda_graphs or learner.compile launches less" in verdict.sentence


def test_a_full_gpu_is_the_limit_though_the_processors_are_full_as_well():
    uses = {"inference": use(1.0, cpu=15.0, device=COMPUTING), "actor": use(0.2)}
    assert "the processors are the limit" not in judge(uses, cores=16, lacking={"inference"}).sentence
    uses["inference"] = use(1.0, cpu=15.0, device=LAUNCHING)
    assert "the processors are the limit" in judge(uses, cores=16, lacking={"inference"}).sentence


def test_the_evaluator_is_never_the_bottleneck():
    verdict = judge({"evaluator": use(1.0), "actor": use(0.4, stage="env step")}, cores=16)
    assert verdict.role == "actor"
    assert verdict.sentence.startswith("actor-bound: 40% busy, mostly with env step; another actor")


def test_a_pipeline_that_did_nothing_has_a_verdict_all_the_same():
    assert judge({"actor": use(0.0), "learner": use(0.0)}, cores=2).predicted_speedup == 1.0


STUCK = Hindrance("inference", "inference-0: no progress for 4.0 s, after stage 'reply'")


def test_verdict_names_the_process_that_does_not_work_and_proposes_nothing():
    verdict = judge({"learner": use(0.9), "inference": use(0.0, stage="reply")}, cores=16, hindrances=[STUCK])
    assert (verdict.stage, verdict.role, verdict.predicted_speedup) == ("reply", "inference", 1.0)
    assert verdict.sentence == STUCK.words


def test_verdict_names_a_run_that_does_not_work_and_the_first_of_many_processes():
    paused = Hindrance(None, "the run is paused")
    assert judge({"learner": use(0.9), "actor": use(0.1)}, 16, hindrances=[paused])[1:] == (
        "learner",
        1.0,
        "the run is paused",
    )
    actors = [Hindrance("actor", f"actor-{index}: has ended") for index in range(5)]
    assert judge({"actor": use(0.9)}, 16, hindrances=actors).sentence == (
        "actor-0: has ended; actor-1: has ended; actor-2: has ended; and 2 more"
    )


def test_an_evaluator_that_does_not_work_is_named_after_the_verdict():
    stuck = Hindrance("evaluator", "evaluator-0: is starting")
    verdict = judge({"actor": use(0.9), "evaluator": use(0.0)}, 16, hindrances=[stuck])
    assert verdict.sentence.startswith("actor-bound: 90% busy") and verdict.sentence.endswith(
        "; evaluator-0: is starting"
    )
    assert judge({"actor": use(0.9), "inference": use(0.0)}, 16, hindrances=[stuck, STUCK]).sentence == STUCK.words
