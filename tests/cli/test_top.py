"""The screen of `mzpipe top`."""

import dataclasses

import pytest
from rich.console import Console

from mzpipe.cli.main import main
from mzpipe.cli.top import screen
from mzpipe.measure.top import Look
from mzpipe.telemetry.gpus import GpuUse
from mzpipe.telemetry.report import make_report, whole_report
from tests.telemetry.moments import Pipeline, busy_second
from tests.telemetry.samples import starting, training

WORKING_MS = {"learner": 200, "inference": 900, "replay": 50, "actor": 400, "evaluator": 1_000}
GIB = 1 << 30


@pytest.fixture
def look():
    pipeline = Pipeline()
    first = pipeline.moment(0.0)
    busy_second(pipeline, WORKING_MS)
    report = make_report(first, pipeline.moment(1.0), cores=8)
    return Look(True, training(), report, {"learner-0": GIB, "actor-0": GIB // 4}, GIB // 2)


def drawn(look, width=80):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(screen("cartpole-seed0", look))
    return capture.get().splitlines()


def test_the_screen_fits_80_columns_and_30_rows_and_cuts_nothing(look):
    rows = drawn(look)
    assert max(map(len, rows)) <= 80
    assert len(rows) <= 30
    assert "…" not in "".join(rows)


def test_the_screen_says_who_plays_learns_and_holds_back(look):
    rows = drawn(look, width=200)
    assert rows[0] == "cartpole-seed0   over the last 1.0 s"
    assert "12,400 env steps" in rows[1]
    assert "evaluation 120.5" in rows[3]
    assert rows[4] == "memory   1.25 GiB of processes (learner-0 1.00), 0.50 GiB shared"
    assert rows[-1].startswith("inference-bound: 90% busy, mostly with inference device")


def test_a_dead_run_is_called_dead(look):
    pipeline = Pipeline()
    busy_second(pipeline, WORKING_MS)
    dead = dataclasses.replace(look, is_live=False, report=whole_report(pipeline.moment(0.0), 8), private_bytes={})
    rows = drawn(dead)
    assert rows[0] == "cartpole-seed0   dead; over its session of 0:00:01"
    assert rows[4] == "memory   0.50 GiB shared"


def test_each_gpu_has_a_line(look):
    gpus = {"0": GpuUse(0.87, 12 * GIB, 140 * GIB, 420.0), "3": GpuUse(0.0, 0, 140 * GIB, None)}
    rows = drawn(dataclasses.replace(look, gpus=gpus))
    assert rows[5:7] == ["gpu 0    87% busy, 12.0 of 140.0 GiB, 420 W", "gpu 3    0% busy, 0.0 of 140.0 GiB"]


def test_what_has_not_been_measured_is_a_dash(look):
    assert "samples per insert -" in "".join(drawn(dataclasses.replace(look, snapshot=starting())))


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "4000", "often"])
def test_an_interval_that_makes_no_sense_is_refused(interval, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["top", str(tmp_path / "run"), "--interval", interval])
    assert caught.value.code == 2
    assert "--interval" in capsys.readouterr().err


def test_top_of_nothing_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main(["top", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"mzpipe top: {tmp_path / 'run'}: no run here (no profile.toml)\n"
