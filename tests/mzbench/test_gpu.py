"""The case `gpu`: lines and bounds, sections in processes of their own, and what each measures on the stand-in GPU."""

import json
import math
from types import SimpleNamespace

import pytest
from mzbench import timing
from mzbench.gpu import command, learner, pipeline, runs
from mzbench.gpu.lines import Bound, Line, Setting, text_of
from mzbench.gpu.sections import SECTIONS, chosen_sections
from mzbench.report import Comparison
from mzbench.report import Measured as Rate

from mzpipe.cli.main import main
from mzpipe.errors import MzpipeError, UsageError
from mzpipe.launch.roles import Devices
from mzpipe.launch.signals import Outcome
from mzpipe.measure.ceilings import make_ceilings
from mzpipe.measure.profile import Measured
from mzpipe.telemetry.gpus import GpuUse
from tests.measure.test_ceilings import BELOW, all_alone, measured
from tests.tiny import planned, tiny_profile

SMALL = Setting("cuda:0", is_small=True)
JUDGED = Setting("cuda:0", judges_speed=True)


@pytest.fixture
def short(monkeypatch):
    """One call a round is enough."""
    monkeypatch.setattr(timing, "ROUND_S", 0.0)


@pytest.fixture
def stubbed(monkeypatch):
    """A machine with a card, and sections whose results are given: lines by section."""
    results = {}
    monkeypatch.setattr(command, "_describe_card", lambda: "an H200 of a test")
    monkeypatch.setattr(command, "_lines", lambda name, *rest: iter(results.get(name, [])))
    return results


def judged(*bounds, setting=SMALL, **numbers):
    return Line("a line", numbers, bounds).as_json(setting)


def test_line_is_ok_within_its_bounds_and_says_which_one_it_breaks():
    bounds = (Bound("us", "an H200's host", most=5.0), Bound("rate", "a goal", least=1e6))
    good, bad = judged(*bounds, us=4.0, rate=1e6), judged(*bounds, us=7.25, rate=2e6)
    assert (good["ok"], bad["ok"]) == (True, False)
    assert text_of(good).split() == ["a", "line", "us", "4", "rate", "1,000,000", "ok"]
    assert text_of(bad).endswith("us 7.25  rate 2,000,000  BAD  us must be at most 5 (an H200's host)")


def test_line_without_a_bound_has_no_verdict():
    line = judged(us=4.0)
    assert line["ok"] is None
    assert text_of(line).split() == ["a", "line", "us", "4"]


def test_number_that_is_not_finite_is_bad_and_null():
    line = judged(Bound("us", "a goal", most=5.0), Bound("us", "a goal", least=1.0), us=math.nan)
    assert not any(bound["ok"] for bound in line["bounds"])
    assert json.loads(json.dumps(line, allow_nan=False))["numbers"] == {"us": None}
    assert "us -  BAD" in text_of(line)


def test_speed_is_judged_only_on_the_card_that_its_bound_is_for():
    bound = Bound("us", "an H200's host", most=5.0, is_speed=True)
    assert judged(bound, us=9.0)["ok"] is None
    assert judged(bound, setting=JUDGED, us=9.0)["ok"] is False


def test_sections_are_run_in_order_and_within_ten_minutes():
    assert chosen_sections([]) == list(SECTIONS)
    assert chosen_sections(["learner", "launch"]) == ["launch", "learner"]
    assert sum(section.budget_s for section in SECTIONS.values()) <= 600.0
    assert all(callable(section.load()) for section in SECTIONS.values())


def test_whole_runs_come_after_their_kernels():
    assert chosen_sections(["kills", "launch"]) == ["kernels", "launch", "kills"]


def test_an_unknown_section_is_refused_with_the_names_of_all():
    with pytest.raises(UsageError, match=r"^gpu lunch: no such section; there are: kernels, correct, launch, "):
        chosen_sections(["launch", "lunch"])


def test_bench_gpu_ends_with_2_and_names_the_section_when_a_line_is_bad(stubbed, tmp_path, capsys):
    stubbed["launch"], stubbed["copies"] = [judged(Bound("us", "a goal", most=5.0), us=9.0)], [judged(GB=1.0)]
    assert main(["bench", "gpu", "copies", "launch", "--json", str(tmp_path / "gpu.json")]) == 2
    shown = capsys.readouterr().out
    assert "us 9  BAD  us must be at most 5 (a goal)" in shown
    assert shown.splitlines()[-1] == "BAD: launch"
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["card"] == "an H200 of a test" and {"host", "commit", "date"} <= found.keys()
    assert {name: section["ok"] for name, section in found["sections"].items()} == {"launch": False, "copies": True}
    assert found["sections"]["launch"]["lines"] == stubbed["launch"]


def test_bench_gpu_ends_with_0_when_nothing_is_bad(stubbed, capsys):
    stubbed["launch"] = [judged(Bound("us", "a goal", most=5.0), us=4.0)]
    assert main(["bench", "gpu", "launch"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all ok"


def test_bench_gpu_writes_what_it_has_after_each_section(stubbed, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(command, "write_json", lambda path, fields: written.append(list(fields["sections"])))
    assert main(["bench", "gpu", "launch", "copies", "--json", str(tmp_path / "gpu.json")]) == 0
    assert written == [["launch"], ["launch", "copies"]]


def test_bench_gpu_says_in_a_line_that_there_is_no_gpu(monkeypatch, capsys):
    monkeypatch.setattr("mzpipe.nets.num_gpus", lambda: 0)
    monkeypatch.setattr("mzpipe.nets.unusable_gpu", lambda: "")
    assert main(["bench", "gpu"]) == 75
    said = capsys.readouterr().err
    assert said == "mzpipe bench: torch sees no GPU on this machine, and this case measures one\n"


def test_bench_refuses_a_picture_of_gpu_and_sections_of_another_case(capsys):
    assert main(["bench", "gpu", "--plot", "gpu.png"]) == 2
    assert "gpu has no picture" in capsys.readouterr().err
    assert main(["bench", "search", "ipc"]) == 2
    assert "ipc: only gpu has sections" in capsys.readouterr().err


@pytest.mark.slow
def test_section_that_ends_badly_is_bad_with_its_last_words_and_the_next_one_runs(monkeypatch, capsys):
    monkeypatch.setattr(command, "_describe_card", lambda: "a card that is not there")
    monkeypatch.setattr(command, "_DEVICE", "cuda:99")
    for name in ("launch", "copies"):
        monkeypatch.setitem(SECTIONS, name, SECTIONS[name]._replace(budget_s=120.0))
    assert main(["bench", "gpu", "launch", "copies"]) == 2
    shown = capsys.readouterr().out
    assert shown.count("ended with exit code ") == 2
    assert shown.splitlines()[-1] == "BAD: launch, copies"


@pytest.mark.slow
def test_section_that_takes_longer_than_its_budget_is_stopped(monkeypatch, capsys):
    monkeypatch.setattr(command, "_describe_card", lambda: "a slow card")
    monkeypatch.setitem(SECTIONS, "launch", SECTIONS["launch"]._replace(budget_s=0.0))
    assert main(["bench", "gpu", "launch"]) == 2
    assert "BAD  stopped: it took longer than its budget of 0 s" in capsys.readouterr().out


def found(name):
    """The lines of a section at small sizes, none of which may be BAD, by name."""
    lines = [line.as_json(SMALL) for line in SECTIONS[name].load()(SMALL)]
    assert not [text_of(line) for line in lines if line["ok"] is False]
    return {line["name"]: line["numbers"] for line in lines}


@pytest.mark.slow
@pytest.mark.on_gpu
def test_correct_compares_every_network_in_every_precision_with_the_cpu(short):
    kinds = [f"{work} {precision}" for work in ("mlp", "residual", "EfficientZero") for precision in PRECISIONS]
    assert list(found("correct")) == [f"{what} {kind}" for kind in kinds for what in ("answers", "versions", "losses")]


PRECISIONS = ("float32", "tf32", "bfloat16")


@pytest.mark.slow
@pytest.mark.on_gpu
def test_correct_sees_a_network_that_answers_otherwise(short, monkeypatch):
    from mzbench.gpu import correct

    monkeypatch.setattr(correct, "works", lambda setting: correct_works(setting)[:1])
    walk = correct._Walk.answers
    monkeypatch.setattr(correct._Walk, "answers", lambda *words: walk(*words) * 1.01)
    first, *_ = (line.as_json(SMALL) for line in correct.measure(SMALL))
    assert first["ok"] is True  # both sides alike
    calls = iter(range(100))
    monkeypatch.setattr(correct._Walk, "answers", lambda *words: walk(*words) * (1.0 + 0.1 * (next(calls) > 0)))
    first, *_ = (line.as_json(SMALL) for line in correct.measure(SMALL))
    assert first["ok"] is False


def correct_works(setting):
    from mzbench.gpu.works import works

    return works(setting)


@pytest.mark.slow
@pytest.mark.on_gpu
def test_launches_and_copies_are_measured(short):
    assert len(found("launch")) == 2
    copied = found("copies")
    assert list(copied) == ["copy of pageable memory", "copy of pinned memory", "copy out of /dev/shm"]
    assert all(numbers["changed_bytes"] == 0.0 and numbers["GB_per_s"] > 0.0 for numbers in copied.values())


@pytest.mark.slow
@pytest.mark.on_gpu
def test_copies_out_of_memory_that_the_driver_refuses_are_bad(short):
    import torch

    torch.ops.stand_in_gpu.refuse_registration(801)
    *_, last = (line.as_json(SMALL) for line in SECTIONS["copies"].load()(SMALL))
    assert last["ok"] is False
    assert "cannot be registered" in text_of(last)


@pytest.mark.slow
@pytest.mark.on_gpu
def test_inference_compares_eager_captured_and_bare_batches(short):
    lines = found("inference")
    assert len(lines) == 3 * (2 + 1)
    rates = lines["EfficientZero bfloat16, 4 rows"]
    assert {"eager_us", "captured_us", "bare_us", "captured_over_bare"} <= rates.keys()


@pytest.mark.slow
@pytest.mark.on_gpu
def test_lanes_are_searched_by_an_inference_server(short):
    (numbers,) = found("lanes").values()
    assert numbers["simulations_per_s"] > 0.0 and numbers["bare_per_s"] > 0.0


@pytest.mark.slow
@pytest.mark.on_gpu
def test_learner_trains_in_its_eager_forms_and_a_form_that_falls_back_is_bad(short):
    lines = {line.name: line.as_json(SMALL) for line in SECTIONS["learner"].load()(SMALL)}
    assert list(lines) == ["float32", "bfloat16", "bfloat16, cuda_graphs"]
    assert all(lines[name]["ok"] and lines[name]["numbers"]["steps_per_s"] > 0.0 for name in ("float32", "bfloat16"))
    captured = lines["bfloat16, cuda_graphs"]
    assert captured["ok"] == (captured["note"] == "")


def test_feed_is_bad_when_it_costs_more_than_a_twentieth(monkeypatch):
    asked = []

    def compare(shape, cores):
        asked.append(shape)
        return [Comparison("feed", "steps/s", Rate("fed", 90.0, 0.1), Rate("resident", 100.0, 0.1))], ["a note"]

    monkeypatch.setattr(learner, "compare_feed", compare)
    (line,) = (line.as_json(JUDGED) for line in learner.feed(JUDGED))
    assert (asked[0].rank_size, asked[0].devices, asked[0].work.network.value_prefix) == (256, ("cuda:0",), True)
    assert line["numbers"]["over_resident"] == pytest.approx(0.9)
    assert (line["ok"], line["note"]) == (False, "a note")


def measured_run(**changes):
    report = measured()
    use = GpuUse(busy=0.4, used_bytes=3 << 30, memory_bytes=139 << 30, watts=None)
    whole = Measured(Outcome(0, "done"), report, make_ceilings(report, all_alone(), BELOW), gpus={"0": use})
    return whole._replace(**changes)


def test_pipeline_has_the_rates_of_the_run_its_gpus_and_its_ceilings(monkeypatch):
    asked = []
    monkeypatch.setattr(
        pipeline, "measure_profile", lambda *words, **options: asked.append((words, options)) or measured_run()
    )
    run, gpu, ceilings = (line.as_json(JUDGED) for line in pipeline.pong(JUDGED))
    ((profile, *_), options) = asked[0]
    assert profile.search.num_simulations == 50 and options["ceilings"]
    assert run["numbers"]["env_steps_per_s"] == pytest.approx(100.0)
    assert run["ok"] is False  # 5,000 is the goal
    assert gpu["numbers"]["busy"] == 0.4
    assert ceilings["numbers"]["efficiency"] == pytest.approx(0.5)
    assert ceilings["note"] == "the lowest is learner"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"report": None, "outcome": Outcome(70, "learner-0 was killed")}, "nothing was measured: learner-0 was kill"),
        ({"failure": MzpipeError("the ceiling of actor ended")}, "the ceiling of actor ended"),
        ({"ceilings": None, "outcome": Outcome(130, "SIGINT")}, "no ceilings: SIGINT"),
    ],
)
def test_pipeline_fails_when_a_part_of_it_was_not_measured(monkeypatch, changes, text):
    monkeypatch.setattr(pipeline, "measure_profile", lambda *words, **options: measured_run(**changes))
    with pytest.raises(MzpipeError, match=text):
        list(pipeline.pong(JUDGED))


def test_memory_compares_what_the_run_takes_with_its_plan(monkeypatch, tmp_path):
    """The card has 1,000 MiB free before the run, and less while it lives."""
    free = iter((1_000 << 20, 600 << 20))
    profile = tiny_profile()
    plan = planned(profile)
    monkeypatch.setattr(runs, "_free_bytes", lambda setting: next(free))
    monkeypatch.setattr(runs, "_profile", lambda setting: profile)
    prepared = SimpleNamespace(devices=Devices(("cuda:0",), ("cuda:0",)), model=plan.model)
    monkeypatch.setattr(runs, "read_prepared", lambda directory: prepared)
    steps = iter((0, 2, 3))

    def train(profile, run, view, watch):
        plane = SimpleNamespace(total=lambda name: next(steps), directory=tmp_path)
        while watch(plane) is None:
            pass
        return Outcome(0, "memory is read")

    monkeypatch.setattr(runs, "train", train)
    (line,) = (line.as_json(SMALL) for line in runs.memory(SMALL))
    assert line["numbers"]["used_MiB"] == 400.0
    assert line["numbers"]["planned_MiB"] > 1_200.0  # two contexts
    assert line["ok"] is True


def test_memory_fails_when_the_run_ends_early(monkeypatch):
    monkeypatch.setattr(runs, "_free_bytes", lambda setting: 1)
    monkeypatch.setattr(runs, "train", lambda *words, **options: Outcome(75, "full"))
    with pytest.raises(MzpipeError, match="the run ended before its memory was read"):
        list(runs.memory(SMALL))


def test_atari100k_has_the_rates_of_the_whole_recipe(monkeypatch):
    asked = []
    monkeypatch.setattr(
        pipeline, "measure_profile", lambda *words, **options: asked.append((words, options)) or measured_run()
    )
    (run,) = (line.as_json(JUDGED) for line in pipeline.atari100k(JUDGED))
    ((profile, *_), options) = asked[0]
    assert profile.reanalyze.fraction == 0.99 and not options["ceilings"]
    assert run["numbers"]["learner_steps_per_s"] == pytest.approx(10.0)
    assert run["ok"] is False  # 57 is the goal


def test_kills_end_the_run_when_both_processes_work_again(monkeypatch, tmp_path):
    """A killed process has another pid after a look, then begins at nothing, then does something."""
    rows = {
        name: {"pid": pid, "learner_steps": 0, "batches": 0} for name, pid in (("learner-0", 11), ("inference-0", 12))
    }
    plane = SimpleNamespace(counters=lambda member: rows[member.identity], directory=tmp_path)
    killed, watch = [], runs.KillsWatch(warm_steps=3)
    monkeypatch.setattr(runs.os, "kill", lambda pid, number: killed.append(pid))
    assert watch(plane) is None and killed == []
    for name, counter, pid in (("learner-0", "learner_steps", 11), ("inference-0", "batches", 12)):
        rows[name][counter] = 40
        assert watch(plane) is None and killed[-1] == pid
        assert watch(plane) is None and watch._waiting[0].restarts == 0
        rows[name]["pid"] += 10
        assert watch(plane) is None and watch._waiting[0].restarts == 1
        rows[name][counter] = 0  # it resumes from its checkpoint
        assert watch(plane) is None and watch._waiting[0].items_after == 0
        rows[name][counter] = 2
        ended = watch(plane)
    assert ended == "what was killed works again"
    assert killed == [11, 12]
    assert [kill.items_after for kill in watch.kills] == [2, 2]
    assert watch.runtime == tmp_path and all(kill.seconds >= 0.0 for kill in watch.kills)
