"""Rates out of a file of `profile --json`; any other file is refused in one line."""

import json
import math
from pathlib import Path

import pytest

from mzpipe.errors import UsageError
from mzpipe.measure.cluster.rates import read_rates

MEASURED = Path(__file__).parents[3] / "profiles" / "measured"
ROLES = {role: {"processes": 2, "env_steps_per_s": 100.0} for role in ("actor", "inference", "replay", "learner")}


def written(tmp_path, roles):
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({"profile": "pong", "host": "h", "date": "d", "ceilings": {"roles": roles}}))
    return path


def test_rates_are_those_of_one_process_and_of_the_whole_learner(tmp_path):
    assert read_rates(written(tmp_path, ROLES)) == (50.0, 50.0, 50.0, 100.0, "pong, h, d")


def test_a_role_of_which_the_run_needed_nothing_bounds_nothing(tmp_path):
    assert read_rates(written(tmp_path, ROLES | {"learner": {"processes": 1, "env_steps_per_s": None}})).learner == (
        math.inf
    )


def test_measurements_that_come_with_mzpipe_are_read():
    found = [read_rates(path) for path in sorted(MEASURED.glob("2026-11-29-*.json"))]
    assert len(found) == 3
    assert all(each.actor > each.learner > 0.0 for each in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "it has no ceilings: make it by mzpipe profile PROFILE --ceilings --json F"),
        ('{"ceilings": 5}', "it has no ceilings"),
        ('{"ceilings": {"roles": {}}}', "ceilings.roles.actor: no rate"),
        (json.dumps({"ceilings": {"roles": ROLES | {"actor": {"processes": 0, "env_steps_per_s": 1.0}}}}), "no rate"),
        (json.dumps({"ceilings": {"roles": ROLES | {"replay": 7}}}), r"ceilings.roles.replay: no rate"),
        (
            json.dumps({"ceilings": {"roles": ROLES | {"actor": {"processes": 1, "env_steps_per_s": math.nan}}}}),
            "nan env steps a second",
        ),
        (json.dumps({"ceilings": {"roles": ROLES | {"actor": {"processes": 1, "env_steps_per_s": None}}}}), "inf env"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "measured.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_rates(path)
    assert str(caught.value).startswith(f"--measured {path}") and "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_rates(tmp_path / "none")
