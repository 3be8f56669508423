"""What settings say of themselves: descriptions, schema, page."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from mzpipe.cli.config import schema_text
from mzpipe.config import Profile, parse_profile
from mzpipe.config.describe import kind_of, schema, sections, toml_value, values
from mzpipe.config.settings_page import page
from mzpipe.config.shipped import shipped_profiles

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = [setting for section in sections() for setting in section.settings]
# Settings without a default value in TOML, which has no "none".
UNSET = {"actor.resign_below", "stop.env_steps", "stop.learner_steps", "stop.minutes", "stop.return_mean"}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_setting_says_what_it_does_in_whole_sentences(setting):
    text = setting.description
    assert text.endswith(".") and len(text) > 10, f"{setting.name}: write a docstring below its declaration"


def test_settings_are_those_of_a_profile():
    assert {setting.name for setting in SETTINGS} == values(Profile()).keys()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_default_of_a_setting_is_what_a_profile_has_without_it_and_can_be_written(setting):
    bare = parse_profile("", ["stop.minutes=1"])
    if setting.name in UNSET:
        assert setting.default == ""
        return
    written = parse_profile("", ["stop.minutes=1", f"{setting.name}={setting.default}"])
    assert written == bare


@pytest.mark.parametrize(("name", "path"), shipped_profiles().items(), ids=list(shipped_profiles()))
def test_schema_takes_every_shipped_profile(name, path):
    jsonschema.validate(tomllib.loads(path.read_text()), schema())


@pytest.mark.parametrize(
    "text",
    ["sed = 1", "[learner]\nbatch_sise = 8", "[learner]\nbatch_size = 0", "[replay]\nsource = ''", "[game]\nname = 3"],
)
def test_schema_refuses_what_loading_refuses(text):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), schema())


def test_schema_spells_replay_from_as_a_file_does():
    jsonschema.validate(tomllib.loads("[replay]\nfrom = 'runs/first'"), schema())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 4096}, "integer from 1 to 4,096"),
        ({"type": "integer", "minimum": 0}, "integer at least 0"),
        ({"type": "number", "exclusiveMinimum": 0.0, "maximum": 4.0}, "number above 0 and at most 4"),
        ({"enum": ["a", "b", "c"], "type": "string"}, '"a", "b" or "c"'),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number"),
        (
            {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
            "list, each: integer or string",
        ),
        ({"type": "array", "prefixItems": [{"type": "number"}] * 2}, "list of 2, each: number"),
    ],
)
def test_kind_of_says_what_may_stand_there(value, words):
    assert kind_of(value) == words


@pytest.mark.parametrize(
    "value", [True, 3, 0.25, 1e-8, "a 'b' \"c\"", (1, 2.5), ("x",), {"is_slippery": False, "n": 4}], ids=repr
)
def test_toml_value_reads_back_as_it_was(value):
    read = tomllib.loads(f"value = {toml_value(value)}")["value"]
    assert (tuple(read) if isinstance(value, tuple) else read) == value


def test_values_have_replay_from_under_its_name_in_files(tmp_path):
    profile = parse_profile("", ["stop.minutes=1", "replay.from=runs/x", "reanalyze.fraction=1.0"])
    assert values(profile)["replay.from"] == "runs/x"


def test_page_of_settings_is_up_to_date():
    message = "run: python -m mzpipe.config.settings_page > docs/settings.md"
    assert (DOCS / "settings.md").read_text() == page(), message


def test_schema_in_docs_is_up_to_date():
    message = "run: mzpipe config --schema > docs/profile.schema.json"
    assert (DOCS / "profile.schema.json").read_text() == schema_text(), message
    assert json.loads(schema_text())["$schema"].endswith("2020-12/schema")
