"""`mzpipe profile --html F --trace F`: refused before the run if they cannot be written, written if they can."""

import json

import numpy as np
import pytest

from mzpipe.cli import profile as verb
from mzpipe.cli.main import main
from mzpipe.errors import ExitCode, PlanError
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.ipc.trace import TraceRow
from mzpipe.launch.signals import Outcome
from mzpipe.measure.profile import Measured
from mzpipe.measure.trace import TraceReading
from mzpipe.telemetry.gpus import GpuUse
from tests.measure.pages import busy_report, pod_use

PROFILE = '[game]\nname = "CartPole-v1"\n[stop]\nlearner_steps = 100\n'
EVENTS = np.array([[0, 500_000_000, Stage.ENV_STEP, 16]])


@pytest.fixture
def measured(monkeypatch):
    """Collects what would be measured, and measures nothing."""
    seen = []

    def measure_profile(profile, seconds, view, ceilings, trace, ray):
        seen.append(profile)
        reading = TraceReading((Member("actor", 0),), (TraceRow(EVENTS, 3),)) if trace else None
        return Measured(Outcome(ExitCode.FINISHED, "measured"), busy_report(), None, reading)

    monkeypatch.setattr(verb, "measure_profile", measure_profile)
    return seen


def test_html_is_the_page_of_the_report(profile, measured, tmp_path):
    words = ["--set", "learner.batch_size=32", "--html", str(tmp_path / "page.html")]
    assert main(["profile", str(profile), *words]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "<title>tiny: mzpipe profile</title>" in page
    assert "learner.batch_size=32" in page
    assert busy_report().verdict.sentence in page


def test_json_says_whose_numbers_these_are(profile, measured, tmp_path):
    path = tmp_path / "report.json"
    assert main(["profile", str(profile), "--set", "learner.batch_size=32", "--json", str(path)]) == 0
    fields = json.loads(path.read_text())
    assert (fields["profile"], fields["overrides"]) == ("tiny", ["learner.batch_size=32"])
    assert fields["host"].endswith(" cores")
    assert {"commit", "date", "env_steps_per_s", "bottleneck", "stages", "processes"} <= fields.keys()
    assert "ceilings" not in fields


def test_report_shows_and_writes_the_gpus_where_there_are_any(profile, monkeypatch, tmp_path, capsys):
    use = GpuUse(0.87, 12 << 30, 140 << 30, 420.0)
    measured = Measured(Outcome(ExitCode.FINISHED, "measured"), busy_report(), gpus={"0": use})
    monkeypatch.setattr(verb, "measure_profile", lambda *arguments, **options: measured)
    path = tmp_path / "report.json"
    assert main(["profile", str(profile), "--json", str(path)]) == 0
    assert json.loads(path.read_text())["gpus"] == {"0": use._asdict()}
    assert "GPU 0: 87% busy, 12.0 of 140.0 GiB, 420 W\n" in capsys.readouterr().out


def test_report_shows_and_writes_every_pod(profile, monkeypatch, tmp_path, capsys):
    pods = (pod_use(0), pod_use(1, clock=None, weights_delay_s=None))
    measured = Measured(Outcome(ExitCode.FINISHED, "measured"), busy_report(), pods=pods)
    asked = []
    monkeypatch.setattr(verb, "measure_profile", lambda *arguments, **options: asked.append(options) or measured)
    path, page = tmp_path / "report.json", tmp_path / "page.html"
    assert main(["profile", str(profile), "--ray", "auto", "--json", str(path), "--html", str(page)]) == 0
    assert asked[0]["ray"] == "auto"
    fields = json.loads(path.read_text())["pods"]
    assert fields["pod-0"]["node"] == "node<0>"
    assert fields["pod-0"]["link"]["clock"] == {"offset_ns": -2_500_000, "error_ns": 40_000, "round_trip_ns": 350_000}
    assert fields["pod-1"]["link"]["clock"] is None
    assert "uplink send" in fields["pod-0"]["stages"]
    assert "pod-1 on node" in page.read_text()
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "pod-0 on node<0>, 4 cores",
        "link: 1,234 transitions/s, 5,500,000 bytes/s to the run, 80,000 bytes/s to the pod; waits for room 25%; "
        "weights after 250 ms; round trip 350 us",
        "clock: -0.002500 s from the run's, known within 40 us",
        "no weights came",
        "clock: not known",
    ):
        assert words in shown, words


@pytest.mark.parametrize(
    ("place", "reason"), [("none/page.html", "no such directory: {0}/none"), (".", "cannot be written")]
)
@pytest.mark.parametrize("option", ["--html", "--trace"])
def test_a_file_is_refused_before_the_run_where_it_cannot_be_written(
    profile, measured, tmp_path, capsys, option, place, reason
):
    assert main(["profile", str(profile), option, str(tmp_path / place)]) == 74
    assert capsys.readouterr().err == f"mzpipe profile: {option} {tmp_path / place}: {reason.format(tmp_path)}\n"
    assert measured == []


def test_trace_is_written_and_its_line_says_how_much_there_is_and_what_is_missing(profile, measured, tmp_path, capsys):
    path = tmp_path / "trace.json"
    assert main(["profile", str(profile), "--trace", str(path)]) == 0
    assert [event["name"] for event in json.loads(path.read_text())["traceEvents"] if event["ph"] == "X"] == [
        "env step"
    ]
    assert (
        "trace: 1 events of 1 processes in 0.50 s; 3 more did not fit: "
        f"open {path} in https://ui.perfetto.dev or chrome://tracing"
    ) in " ".join(capsys.readouterr().out.split())


def test_what_was_measured_is_written_also_where_there_are_no_ceilings(profile, tmp_path, monkeypatch, capsys):
    def measure_profile(*_, **__):
        outcome = Outcome(ExitCode.FINISHED, "measured")
        return Measured(outcome, busy_report(), failure=PlanError("/dev/shm: the run needs 2 MiB, 1 MiB are free"))

    monkeypatch.setattr(verb, "measure_profile", measure_profile)
    assert main(["profile", str(profile), "--ceilings", "--json", str(tmp_path / "report.json")]) == 2
    assert json.loads((tmp_path / "report.json").read_text())["env_steps_per_s"] > 0.0
    assert capsys.readouterr().err == "mzpipe profile: /dev/shm: the run needs 2 MiB, 1 MiB are free\n"
