"""RUN/metrics.jsonl: one history, also of a run that was resumed."""

import json
import os

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.loggers import LoggedRun
from mzpipe.loggers.jsonl import FILE, JsonlLogger
from mzpipe.telemetry.loggers import Loggers
from tests.telemetry.samples import EVALUATION, training


def session(directory, *steps, at=0, learner=0, values=None):
    """Logs points at these steps in a session that continues at `at`."""
    logger = JsonlLogger()
    logger.open(LoggedRun("run", directory, {}, (), env_steps=at, learner_steps=learner))
    for step in steps:
        logger.log(values or {"loss/total": 1.5}, step, step // 2, 7.25)
    logger.close()


def lines(directory):
    return [json.loads(line) for line in (directory / FILE).read_text().splitlines()]


def steps(directory):
    return [line["env_steps"] for line in lines(directory)]


def test_line_has_the_values_where_and_when(tmp_path):
    session(tmp_path, 10)
    assert lines(tmp_path) == [{"env_steps": 10, "learner_steps": 5, "time": 7.25, "loss/total": 1.5}]


def test_number_that_is_not_finite_is_null(tmp_path):
    session(tmp_path, 10, values={"a/b": float("nan"), "a/c": float("inf")})
    assert (lines(tmp_path)[0]["a/b"], lines(tmp_path)[0]["a/c"]) == (None, None)


def test_resumed_session_repeats_nothing_that_came_after_its_checkpoint(tmp_path):
    session(tmp_path, 10, 20, 30, 40)
    session(tmp_path, 24, 34, at=22, learner=11)
    assert steps(tmp_path) == [10, 20, 24, 34]
    session(tmp_path, 36, at=99, learner=13)  # moves are counted up to a kill, training steps up to the checkpoint
    assert steps(tmp_path) == [10, 20, 24, 36]


def test_line_that_a_kill_cut_short_is_removed(tmp_path):
    session(tmp_path, 10)
    with open(tmp_path / FILE, "a") as file:
        file.write('{"env_steps": 20, "learner')
    session(tmp_path, 20, at=15, learner=7)
    assert steps(tmp_path) == [10, 20]


def test_line_of_another_kind_stays(tmp_path):
    (tmp_path / FILE).write_text("# mine\n")
    session(tmp_path, 10)
    assert (tmp_path / FILE).read_text().startswith("# mine\n")


def test_session_without_points_leaves_the_file_as_it_is(tmp_path):
    session(tmp_path, 10)
    session(tmp_path)
    assert steps(tmp_path) == [10]


def test_points_continue_in_whole_lines_when_one_was_refused(tmp_path, monkeypatch):
    logger, write = JsonlLogger(), os.writev
    logger.open(LoggedRun("run", tmp_path, {}, ()))
    logger.log({}, 1, 1, 0.0)
    with monkeypatch.context() as patched:

        def half(descriptor, buffers):
            write(descriptor, [bytes(buffers[0])[:10]])
            raise OSError(28, "No space left on device")

        patched.setattr(os, "writev", half)
        with pytest.raises(InputOutputError, match=r"cannot write .*metrics.jsonl: No space"):
            logger.log({}, 2, 2, 0.0)
    logger.log({}, 3, 3, 0.0)
    logger.close()
    assert steps(tmp_path) == [1, 3]


def test_run_tells_once_that_points_cannot_be_written(tmp_path):
    told = []
    (tmp_path / FILE).mkdir()
    loggers = Loggers(["jsonl"], tmp_path, told.append)
    loggers.open(LoggedRun("run", tmp_path, {}, ()), tmp_path)
    for step in (1, 2):
        loggers.log(training(env_steps=step))
    loggers.close()
    assert len(told) == 1 and "points in metrics.jsonl are tried again until that works; points are missing" in told[0]


def test_file_has_an_evaluation_at_its_own_place(tmp_path):
    loggers = Loggers(["jsonl"], tmp_path)
    loggers.open(LoggedRun("run", tmp_path, {}, ()), tmp_path)
    loggers.log(training())
    loggers.close()
    first, second = lines(tmp_path)
    assert (first["eval/return_mean"], first["env_steps"]) == (EVALUATION.return_mean, EVALUATION.env_steps)
    assert (second["loss/total"], second["env_steps"]) == (2.31, 12_400)
