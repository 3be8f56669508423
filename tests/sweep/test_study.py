"""Trials in Optuna's storage."""

import pytest

from mzpipe.runs.scores import Evaluation
from mzpipe.sweep.study import without_password
from tests.sweep.made import SPACE, Sweep


def curve(*returns, interval=100):
    return [Evaluation(place, interval * place, place, value, 0.0, 3) for place, value in enumerate(returns, start=1)]


@pytest.fixture
def study(tmp_path):
    return Sweep(tmp_path / "sweep", f"trials = 9\nstartup_trials = 2\n{SPACE}").study()


def test_settings_are_in_their_ranges_and_in_digits_to_copy(study):
    for _ in range(9):
        rate, simulations = (float(each.partition("=")[2]) for each in study.next().settings)
        assert 1e-4 <= rate <= 1e-2 and rate == float(f"{rate:.6g}") and simulations in (8, 16, 24, 32)
    assert study.next() is None


def test_evaluation_is_told_once_however_often_the_curve_is_read(study):
    trial = study.next()
    assert trial.report(curve(1.0)) and not trial.report(curve(1.0)) and trial.report(curve(1.0, 2.0))
    assert study.rows()[0].value == 2.0 and study.rows()[0].state == "running"


def test_trial_taken_up_again_knows_what_was_told(study, tmp_path):
    first = study.next()
    first.report(curve(1.0))
    (again,) = Sweep(tmp_path / "sweep", f"trials = 9\n{SPACE}").study().unfinished()
    assert again.settings == first.settings and not again.report(curve(1.0))


def test_trials_are_compared_at_equal_training_steps(study):
    for value in (5.0, 6.0):
        trial = study.next()
        trial.report(curve(value, 9.0))
        trial.complete(curve(value, 9.0))
    late = study.next()
    late.report(curve(5.7, interval=110))  # at 110 steps: the first interval
    assert not late.should_be_pruned()
    late.report(curve(5.7, 6.0, interval=110))
    assert late.should_be_pruned()


def test_importance_tells_which_field_mattered(study):
    for _ in range(8):
        trial = study.next()
        trial.complete(curve(float(trial.settings[1].partition("=")[2])))
    importances = study.importances()
    assert next(iter(importances)) == "search.num_simulations" and sum(importances.values()) == pytest.approx(1.0)


def test_importance_is_left_out_where_trials_do_not_tell(study):
    assert study.importances() == {}
    for _ in range(5):
        study.next().complete(curve(3.0))
    assert study.importances() == {}


def test_password_of_a_storage_is_not_shown():
    assert without_password("postgresql://me:secret@host/trials") == "postgresql://me:***@host/trials"
    assert without_password("sqlite:////a/b:c@d.db") == "sqlite:////a/b:c@d.db"
