"""`mzpipe profile --html F`: refused before the run where it cannot be written, and a page where it can."""

import json

import pytest

from mzpipe.cli import profile as verb
from mzpipe.cli.main import main
from mzpipe.errors import ExitCode
from mzpipe.launch.outcome import Outcome
from mzpipe.launch.profile import Measured
from tests.profiling.pages import busy_report

PROFILE = '[game]\nname = "CartPole-v1"\n[stop]\nlearner_steps = 100\n'


@pytest.fixture
def measured(monkeypatch):
    """Collects what was measured, in place of measuring."""
    seen = []

    def measure_profile(profile, seconds, view, ceilings):
        seen.append(profile)
        return Measured(Outcome(ExitCode.FINISHED, "measured"), busy_report())

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


@pytest.mark.parametrize(
    ("place", "reason"), [("none/page.html", "no such directory: {0}/none"), (".", "cannot be written")]
)
def test_html_is_refused_before_the_run_where_it_cannot_be_written(profile, measured, tmp_path, capsys, place, reason):
    assert main(["profile", str(profile), "--html", str(tmp_path / place)]) == 74
    assert capsys.readouterr().err == f"mzpipe profile: --html {tmp_path / place}: {reason.format(tmp_path)}\n"
    assert measured == []
