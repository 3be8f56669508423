"""trackio, wandb and MLflow: fakes of their documented calls everywhere, and the packages themselves where they are."""

import sqlite3
import sys
from types import SimpleNamespace

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.loggers.known import make_logger
from mzpipe.loggers.memory import remembered
from mzpipe.telemetry.loggers import Loggers, logged_run
from tests.telemetry.samples import training
from tests.tiny import tiny_profile


class Calls:
    """A module, or an object of one: notes every call, and answers with another such object."""

    def __init__(self, calls=None, name=""):
        self._calls, self._name = [] if calls is None else calls, name

    def __getattr__(self, name):
        return Calls(self._calls, f"{self._name}.{name}")

    def __call__(self, *arguments, **options):
        self._calls.append((self._name, arguments, options))
        return Calls(self._calls, f"{self._name}()")


@pytest.fixture
def run(tmp_path):
    return logged_run(tiny_profile(), tmp_path, 0, 0)


@pytest.fixture
def fake(monkeypatch):
    """Puts a fake package of this name in place; returns its calls."""

    def put(name):
        package = Calls()
        monkeypatch.setitem(sys.modules, name, package)
        monkeypatch.setattr("mzpipe.extras.find_spec", lambda name: True)
        return package._calls

    return put


def session(name, run):
    logger = make_logger(name)
    logger.open(run)
    logger.log({"loss/total": 1.5}, 40, 20, 7.25)
    logger.close()


def options_of(calls, name):
    return [options for called, _, options in calls if called == name]


def test_wandb_gets_one_run_over_all_sessions_and_points_at_env_steps(fake, run):
    calls = fake("wandb")
    for _ in range(2):
        session("wandb", run)
    first, second = options_of(calls, ".init")
    assert first["id"] == second["id"] and first["resume"] == "allow" and first["project"] == "mzpipe"
    assert first["config"]["learner"]["batch_size"] == 4
    assert "(loss)" in first["config"]["metrics"]["loss/total"]
    (point,) = next(arguments for called, arguments, _ in calls if called == ".init().log")
    assert (point["loss/total"], point["env_steps"], point["learner_steps"]) == (1.5, 40, 20)
    assert (".init().define_metric", ("*",), {"step_metric": "env_steps"}) in calls
    assert [called for called, *_ in calls].count(".init().finish") == 2


def test_trackio_gets_one_run_over_all_sessions_and_points_at_env_steps(fake, run):
    calls = fake("trackio")
    for _ in range(2):
        session("trackio", run)
    first, second = options_of(calls, ".init")
    assert first["name"] == second["name"] and first["resume"] == "allow"
    assert first["config"]["learner.batch_size"] == 4
    assert (".init().log", ({"loss/total": 1.5, "env_steps": 40, "learner_steps": 20},), {"step": 40}) in calls
    assert [called for called, *_ in calls].count(".init().finish") == 2


def test_mlflow_gets_one_run_over_all_sessions_and_points_at_env_steps(monkeypatch, run):
    calls = []

    class Client(Calls):
        def __init__(self, store):
            super().__init__(calls)
            calls.append(("store", (store,), {}))

        def create_run(self, *arguments, **options):
            calls.append(("create_run", arguments, options))
            return SimpleNamespace(info=SimpleNamespace(run_id="one"))

    entities = SimpleNamespace(Metric=lambda *fields: fields, Param=lambda *fields: fields)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=Client, entities=entities))
    monkeypatch.setattr("mzpipe.extras.find_spec", lambda name: True)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for _ in range(2):
        session("mlflow", run)
    assert ("store", (f"sqlite:///{run.directory.parent}/mlflow.db",), {}) in calls
    assert [called for called, *_ in calls].count("create_run") == 1
    assert (".log_batch", ("one",), {"metrics": [("loss/total", 1.5, 7250, 40)]}) in calls
    parameters = dict(each for options in options_of(calls, ".log_batch") for each in options.get("params", ()))
    assert parameters["learner.batch_size"] == "4"
    assert [called for called, *_ in calls].count(".set_terminated") == 2


@pytest.mark.parametrize("text", ["\n", "\x1b[2J"])
def test_id_that_is_none_is_refused_with_its_file(run, text):
    (run.directory / "loggers").mkdir()
    (run.directory / "loggers" / "wandb").write_text(text)
    with pytest.raises(InputOutputError, match=r"loggers/wandb: .* remove the file"):
        remembered(run, "wandb", lambda: "other")


@pytest.fixture
def two_sessions(tmp_path, monkeypatch):
    """Logs two sessions of a run with the package itself, in its process; returns the run directory and the lines."""

    def log(name):
        pytest.importorskip(name, reason=f"to test the logger, install mzpipe[{name}]")
        run, lines = tmp_path / "runs" / "first", []
        (run / "logs").mkdir(parents=True)
        for name_of_folder, value in {"WANDB_MODE": "offline", "TRACKIO_DIR": str(tmp_path / "trackio")}.items():
            monkeypatch.setenv(name_of_folder, value)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.setattr("mzpipe.telemetry.loggers._STOP_S", 120.0)
        for steps in (40, 80):
            with Loggers([name], tmp_path, lines.append) as loggers:
                loggers.await_ready()
                loggers.open(logged_run(tiny_profile(), run, steps - 40, 0), run / "logs")
                loggers.log(training(env_steps=steps))
                loggers.close()
        assert lines == []
        return run

    return log


@pytest.mark.slow
def test_wandb_itself_keeps_both_sessions_under_one_id(two_sessions):
    run = two_sessions("wandb")
    name = (run / "loggers" / "wandb").read_text().strip()
    files = list((run / "wandb").glob(f"offline-run-*-{name}/run-{name}.wandb"))
    assert len(files) == 2 and all(b"loss/total" in file.read_bytes() for file in files)


@pytest.mark.slow
def test_trackio_itself_keeps_both_sessions_in_one_run(two_sessions, tmp_path):
    run = two_sessions("trackio")
    (file,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(file) as store:
        rows = store.execute("SELECT run_name, step FROM metrics ORDER BY step").fetchall()
    name = (run / "loggers" / "trackio").read_text().strip()
    assert rows == [(name, 40), (name, 80), (name, 12_000), (name, 12_000)]


@pytest.mark.slow
def test_mlflow_itself_keeps_both_sessions_in_one_run(two_sessions):
    run = two_sessions("mlflow")
    client = pytest.importorskip("mlflow").MlflowClient(f"sqlite:///{run.parent / 'mlflow.db'}")
    run_id = (run / "loggers" / "mlflow").read_text().strip()
    points = client.get_metric_history(run_id, "loss/total")
    assert [(point.step, point.value) for point in points] == [(40, 2.31), (80, 2.31)]
    kept = client.get_run(run_id)
    assert kept.info.status == "FINISHED" and kept.data.params["learner.batch_size"] == "4"
