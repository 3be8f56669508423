"""`mzpipe profile` on real processes: parts that add up to the time, a file with the agreed names, nothing left."""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.measure.traces import check_trace, flows
from tests.pipeline.driver import PROFILE, START_S, command, mzpipe
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def short_profile(*words, **options):
    """Runs the command to its end, with a short warm-up."""
    command = [sys.executable, "-m", "tests.pipeline.short_profile", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, **options)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One measured run, from which every file comes that the command can write."""
    home, words = tmp_path_factory.mktemp("profile"), []
    (home / "tiny.toml").write_text(PROFILE)
    (home / "scratch").mkdir()
    files = {name: home / name for name in ("report.json", "page.html", "trace.json")}
    for option, path in zip(("--json", "--html", "--trace"), files.values(), strict=True):
        words += [option, path]
    # A save takes as long as the disk takes, and a lap that began before a look counts whole.
    saves = ("--set", "learner.checkpoint_interval=1000000")
    evaluations = ("--set", "evaluator.interval_steps=20")  # so that the evaluator plays within the traced seconds
    scratch = {**os.environ, "TMPDIR": str(home / "scratch")}
    result = short_profile(home / "tiny.toml", "--seconds", 5, "--ceilings", *words, *saves, *evaluations, env=scratch)
    assert result.returncode == 0, result.stdout + result.stderr
    return SimpleNamespace(
        report=json.loads(files["report.json"].read_text()),
        page=files["page.html"].read_text(),
        trace_path=files["trace.json"],
        said=" ".join(result.stdout.split()),
        left=list((home / "scratch").glob("mzpipe-*")),
    )


@pytest.mark.alone
def test_profile_accounts_for_the_time_of_every_process_within_two_percent(measured):
    report = measured.report
    assert {name.partition("-")[0] for name in report["processes"]} == {
        "actor",
        "inference",
        "replay",
        "learner",
        "evaluator",
    }
    for name, use in report["processes"].items():
        parts = use["busy"] + use["wait_in"] + use["wait_out"] + use["other"]
        assert parts == pytest.approx(1.0), name
        assert use["accounted"] == pytest.approx(1.0, abs=0.02), name  # against a clock that is not the process's own
    assert report["env_steps_per_s"] > 0
    assert report["learner_steps_per_s"] > 0
    assert report["bottleneck"] in report["stages"]
    assert report["verdict"] in measured.said
    assert report["verdict"] in measured.page
    assert "Rates over time" in measured.page
    assert measured.left == []


@pytest.mark.alone
def test_a_trace_shows_whole_simulations_and_whole_batches_of_all_processes(measured):
    events = check_trace(measured.trace_path.read_text())
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    working = {names[event["pid"]] for event in events if event["ph"] == "X"}
    assert working == set(names.values()) == {"actor-0", "inference-0", "replay-0", "learner-0", "evaluator-0"}
    simulation = [
        ("actor-0", "select/backup"),
        ("inference-0", "inference gather"),
        ("inference-0", "inference device"),
    ]
    simulation += [("inference-0", "reply"), ("actor-0", "select/backup")]
    batch = [("replay-0", "sample"), ("learner-0", "learner forward"), ("learner-0", "learner backward")]
    batch += [("learner-0", "other"), ("replay-0", "other")]
    found = flows(events)
    assert ("simulation", simulation) in found
    assert ("batch", batch) in found
    assert f"open {measured.trace_path} in https://ui.perfetto.dev" in measured.said


@pytest.mark.alone
def test_ceilings_are_those_of_every_role_and_of_the_processors(measured):
    ceilings = measured.report["ceilings"]
    assert set(ceilings["roles"]) == {"actor", "inference", "learner", "replay"}
    lowest = min(role["env_steps_per_s"] for role in ceilings["roles"].values())
    assert ceilings["efficiency"] > 0.0
    assert ceilings["lowest"] == "processors" or ceilings["roles"][ceilings["lowest"]]["env_steps_per_s"] == lowest
    assert f"of its lowest ceiling, {ceilings['lowest']}:" in measured.said
    assert "inference through lanes:" in measured.said


# Games that cost much, a search that costs almost nothing, and a learner with almost nothing to do.
GAMES_ARE_THE_LIMIT = (
    "game.name=LunarLander-v3",
    "search.num_simulations=1",
    "topology.lanes_per_actor=2",
    "topology.trees_per_lane=64",
    "actor.trajectory_length=32",
    "replay.samples_per_insert=0.02",
    "replay.max_insert_lead=100000",
    "replay.capacity_bytes=30000000",
    "evaluator.interval_steps=1000000",
)


def profiled(profile, path, *overrides):
    sets = [word for override in overrides for word in ("--set", override)]
    result = mzpipe("profile", profile, "--seconds", 10, "--json", path, *sets)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(path.read_text())


def processor_seconds_per_env_step(report):
    actors = [use["cpu"] for name, use in report["processes"].items() if name.startswith("actor")]
    return sum(actors) / report["env_steps_per_s"]


@pytest.mark.alone
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="what is added needs a core of its own")
def test_the_prediction_holds_when_the_resource_is_really_added(profile, tmp_path):
    one = profiled(profile, tmp_path / "one.json", *GAMES_ARE_THE_LIMIT)
    assert one["bottleneck"] == "env step"
    assert one["predicted_speedup"] > 1.1
    two = profiled(profile, tmp_path / "two.json", *GAMES_ARE_THE_LIMIT, "topology.actors=2")
    speedup = two["env_steps_per_s"] / one["env_steps_per_s"]
    # The prediction assumes that an env step costs what it did; a shared machine may have changed its speed since.
    speedup *= processor_seconds_per_env_step(two) / processor_seconds_per_env_step(one)
    assert speedup == pytest.approx(one["predicted_speedup"], rel=0.3)


def test_profile_refuses_too_short_a_time_and_an_unwritable_file_before_it_starts(profile, tmp_path):
    result = mzpipe("profile", profile, "--seconds", 2)
    assert result.returncode == 2
    assert result.stderr == "mzpipe profile: --seconds 2: must be at least 5, or slow stages are missed\n"
    result = mzpipe("profile", profile, "--json", tmp_path / "none" / "report.json")
    assert result.returncode == 74
    assert "no such directory" in result.stderr


def test_profile_ends_on_ctrl_c_with_130_and_without_a_report(profile, tmp_path):
    (tmp_path / "scratch").mkdir()
    scratch = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    with open(tmp_path / "output", "wb") as output:
        arguments = command("profile", profile, "--seconds", 600, "--json", tmp_path / "report.json")
        process = subprocess.Popen(arguments, stdout=output, stderr=output, start_new_session=True, env=scratch)
    try:
        wait_until(lambda: b"processes are ready" in (tmp_path / "output").read_bytes(), START_S, "processes")
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(START_S) == 130
    finally:
        process.kill()
        process.wait(10)
    assert "nothing was measured: SIGINT" in (tmp_path / "output").read_text()
    assert not (tmp_path / "report.json").exists()
    assert list((tmp_path / "scratch").glob("mzpipe-*")) == []
