"""`mzpipe tune` with measurements of a made-up machine."""

import json
from types import SimpleNamespace

import pytest

from mzpipe.cli import tune as verb
from mzpipe.cli.main import main
from mzpipe.config import load_profile
from mzpipe.errors import ExitCode
from mzpipe.launch.signals import Outcome
from mzpipe.measure.profile import Measured
from mzpipe.runs.directory import save_profile
from tests.tiny import tiny_profile


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "tiny.toml"
    save_profile(tiny_profile(), path)
    return path


@pytest.fixture
def measured(monkeypatch):
    """Makes measure_profile give these outcomes and rates; collects the profiles that it was given."""
    seen = []

    def make(rate, exit_code=ExitCode.FINISHED, end_after=10**9):
        def measure_profile(profile, seconds, view):
            seen.append(profile)
            if len(seen) > end_after:
                return Measured(Outcome(exit_code, "SIGINT" if exit_code == 130 else "no room"), None)
            value = rate(profile.topology)
            report = SimpleNamespace(
                env_steps_per_s=value, learner_steps_per_s=value, verdict=SimpleNamespace(stage="env step")
            )
            return Measured(Outcome(ExitCode.FINISHED, "measured"), report)

        monkeypatch.setattr(verb, "measure_profile", measure_profile)
        return seen

    return make


def test_tune_writes_the_winner_next_to_the_profile_and_every_trial_as_json(profile, measured, tmp_path, capsys):
    measured(lambda topology: 10.0 * min(topology.trees_per_lane, 6))
    assert main(["tune", str(profile), "--json", str(tmp_path / "trials.json")]) == 0
    assert load_profile(tmp_path / "tiny-tuned.toml") == tiny_profile("topology.trees_per_lane=6")
    trials = json.loads((tmp_path / "trials.json").read_text())
    assert trials[0]["setting"] == {} and trials[0]["env_steps_per_s"] == 30.0
    output = " ".join(capsys.readouterr().out.split())
    assert "topology.trees_per_lane=6: 60 env steps/s" in output
    assert "topology.trees_per_lane=6: +100% (two measurements of the unchanged profile differ by 0%)" in output


def test_tune_says_so_when_the_profile_is_the_fastest(profile, measured, tmp_path, capsys):
    measured(lambda topology: 10.0)
    assert main(["tune", str(profile), "--out", str(tmp_path / "won.toml"), "--set", "seed=7"]) == 0
    assert "the unchanged profile is the fastest found" in " ".join(capsys.readouterr().out.split())
    assert load_profile(tmp_path / "won.toml") == tiny_profile("seed=7")


def test_ctrl_c_ends_with_130_and_the_best_so_far(profile, measured, tmp_path):
    seen = measured(lambda topology: float(topology.trees_per_lane), ExitCode.INTERRUPTED, end_after=4)
    assert main(["tune", str(profile)]) == 130
    assert len(seen) == 5
    assert load_profile(tmp_path / "tiny-tuned.toml").topology.trees_per_lane == 12


def test_ctrl_c_in_the_first_trial_ends_with_130_and_writes_nothing(profile, measured, tmp_path, capsys):
    measured(lambda topology: 1.0, ExitCode.INTERRUPTED, end_after=0)
    assert main(["tune", str(profile)]) == 130
    assert not (tmp_path / "tiny-tuned.toml").exists()
    assert capsys.readouterr().err == ""


def test_tune_says_so_and_continues_when_a_later_trial_fails(profile, measured, tmp_path, capsys):
    measured(lambda topology: float(topology.trees_per_lane), ExitCode.DEVICE, end_after=3)
    assert main(["tune", str(profile)]) == 0
    assert load_profile(tmp_path / "tiny-tuned.toml").topology.trees_per_lane == 6
    assert "cannot run: a trial ended early: no room" in " ".join(capsys.readouterr().out.split())


def test_what_a_trial_cannot_have_is_refused(profile, measured, capsys):
    measured(lambda topology: 1.0)
    assert main(["tune", str(profile), "--set", "topology.external=actor"]) == 2
    assert "topology.external=actor: trials start every role: set it to none" in capsys.readouterr().err
    assert main(["tune", str(profile), "--set", "cluster.pods=2"]) == 2
    assert "cluster.pods=2: trials run on this machine alone: set it to 0" in capsys.readouterr().err


def test_a_run_that_fails_ends_the_tuning_in_one_line(profile, measured, capsys):
    measured(lambda topology: 1.0, ExitCode.INPUT_OUTPUT, end_after=0)
    assert main(["tune", str(profile)]) == 2
    assert capsys.readouterr().err == "mzpipe tune: a trial ended early: no room\n"


@pytest.mark.parametrize("words", [["--minutes", "0"], ["--minutes", "nan"], ["--seconds", "4"]])
def test_times_that_make_no_sense_are_refused_before_anything_runs(profile, measured, words, capsys):
    seen = measured(lambda topology: 1.0)
    assert main(["tune", str(profile), *words]) == 2
    assert "--minutes must be above 0 and --seconds at least 5" in capsys.readouterr().err
    assert seen == []


def test_a_wrong_profile_and_an_unwritable_file_are_refused_before_anything_runs(profile, measured, tmp_path, capsys):
    seen = measured(lambda topology: 1.0)
    assert main(["tune", str(profile), "--set", "lerner.batch_size=3"]) == 2
    assert main(["tune", str(profile), "--out", str(tmp_path / "none" / "p.toml")]) == 74
    assert "--out" in capsys.readouterr().err
    assert seen == []
