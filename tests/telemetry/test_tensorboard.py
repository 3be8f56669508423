"""Event files, read back with TensorBoard's own reader."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mzpipe.errors import InputOutputError
from mzpipe.runs.scores import Evaluation
from mzpipe.telemetry import Snapshot, TensorBoardWriter
from mzpipe.telemetry.tensorboard import training_times

from .samples import EVALUATION, TRAINING, starting, training

TAGS = {tag: value for tag, value in TRAINING.metrics.items() if value is not None}
EVALUATION_TAGS = {"eval/return_mean": 120.5, "eval/return_std": 33.2}


def session(directory: Path, *snapshots: Snapshot) -> None:
    """One process's life: a writer, its snapshots, its end."""
    writer = TensorBoardWriter(directory)
    for snapshot in snapshots:
        writer.write(snapshot)
    writer.close()


def curves(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Every curve as (step, value) points."""
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def at(step: int, values: dict[str, float]) -> dict[str, list[tuple[int, Any]]]:
    """One point per curve; event files hold float32."""
    return {tag: [(step, pytest.approx(value))] for tag, value in values.items()}


def test_writer_writes_every_tag_at_env_steps(tmp_path: Path) -> None:
    session(tmp_path, training())
    written = {tag: points for tag, points in curves(tmp_path).items() if tag in TAGS}
    assert written == at(12_400, TAGS)


def test_writer_writes_an_evaluation_at_its_own_env_steps(tmp_path: Path) -> None:
    session(tmp_path, training())
    written = {tag: points for tag, points in curves(tmp_path).items() if tag not in TAGS}
    assert written == at(12_000, EVALUATION_TAGS)


def test_writer_writes_the_human_normalised_score_where_the_game_has_one(tmp_path: Path) -> None:
    session(tmp_path, training(evaluation=dataclasses.replace(EVALUATION, human_normalised=0.5)))
    assert curves(tmp_path)["eval/human_normalised"] == [(12_000, 0.5)]


def test_writer_leaves_out_what_was_not_measured(tmp_path: Path) -> None:
    session(tmp_path, starting(env_steps=0))
    unmeasured = {"charts", "loss", "staleness", "targets", "eval"}
    written = curves(tmp_path)
    assert not [tag for tag in written if tag.split("/")[0] in unmeasured]
    assert "replay/samples_per_insert" not in written
    assert "replay/insert_wait" not in written


def test_writer_writes_an_evaluation_once_when_it_stays_the_latest(tmp_path: Path) -> None:
    newer = Evaluation(40, 4_000, 16_000, 200.0, 10.0, 20)
    session(tmp_path, training(), training(env_steps=13_000), training(env_steps=17_000, evaluation=newer))
    assert curves(tmp_path)["eval/return_mean"] == [(12_000, 120.5), (16_000, 200.0)]


def test_writer_appends_a_file_when_a_run_is_resumed(tmp_path: Path) -> None:
    for env_steps in (1_000, 2_000, 3_000):
        session(tmp_path, training(env_steps=env_steps))
    assert len(list(tmp_path.iterdir())) == 3
    assert [step for step, _ in curves(tmp_path)["perf/env_steps_per_s"]] == [1_000, 2_000, 3_000]


def test_writer_replaces_the_points_that_a_resumed_run_repeats(tmp_path: Path) -> None:
    session(tmp_path, *(training(env_steps=n, metrics={"perf/env_steps_per_s": 1.0}) for n in (1_000, 2_000, 3_000)))
    session(tmp_path, *(training(env_steps=n, metrics={"perf/env_steps_per_s": 2.0}) for n in (2_000, 2_500)))
    assert curves(tmp_path)["perf/env_steps_per_s"] == [(1_000, 1.0), (2_000, 2.0), (2_500, 2.0)]


def test_writer_names_a_file_after_the_newest_when_the_clock_was_set_back(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.9000000000.host.1").touch()
    (tmp_path / "events.out.tfevents.odd").touch()
    session(tmp_path, training())
    assert any(path.name.startswith("events.out.tfevents.9000000001.") for path in tmp_path.iterdir())


def test_writer_makes_each_point_readable_before_it_is_closed(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path)
    writer.write(training())
    assert "loss/total" in curves(tmp_path)
    writer.close()
    writer.close()


def test_writer_raises_when_the_directory_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "events").touch()
    with pytest.raises(InputOutputError, match=r"cannot write TensorBoard events in .*events: File exists"):
        TensorBoardWriter(tmp_path / "events").write(training())


def test_telemetry_loads_neither_torch_nor_tensorflow_when_they_are_installed(tmp_path: Path) -> None:
    for name in ("torch", "tensorflow"):
        (tmp_path / f"{name}.py").write_text("")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"from mzpipe.telemetry import TensorBoardWriter; TensorBoardWriter({str(tmp_path / 'events')!r}).close()\n"
        "sys.exit('torch' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=250).returncode == 0


def test_training_times_end_at_the_axis_and_at_a_record_that_is_cut_short(tmp_path: Path, monkeypatch) -> None:
    writer = TensorBoardWriter(tmp_path)
    for step in (10, 20, 30, 40):
        monkeypatch.setattr("mzpipe.telemetry.tensorboard.time.time", lambda step=step: 100.0 * step)
        writer.write_scalars(step, {"loss/total": 1.0})
    writer.close()
    assert training_times(tmp_path, 30) == [(1000.0, 3000.0)]
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    assert training_times(tmp_path, 99) == [(1000.0, 3000.0)]
    assert training_times(tmp_path, 5) == training_times(tmp_path / "nowhere", 99) == []
