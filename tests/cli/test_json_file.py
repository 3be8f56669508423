"""`--json F`: refused before the work if it cannot be written, written whole if it can."""

import json

import pytest

from mzpipe.cli.profile_arguments import refuse_unwritable, write_json
from mzpipe.errors import InputOutputError


def test_write_json_writes_the_fields_and_nothing_without_a_path(tmp_path):
    write_json(tmp_path / "out.json", [{"case": "one"}])
    assert json.loads((tmp_path / "out.json").read_text()) == [{"case": "one"}]
    write_json(None, {"case": "one"})


def test_write_json_says_what_the_system_says(tmp_path):
    with pytest.raises(InputOutputError, match=r"--json .*: cannot be written: Is a directory"):
        write_json(tmp_path, {})


def test_refuse_unwritable_lets_a_new_file_an_old_one_and_none_pass(tmp_path, monkeypatch):
    (tmp_path / "old.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "new.json", tmp_path / "old.json", None):
        refuse_unwritable(path)
    assert (tmp_path / "old.json").read_text() == "{}"
    assert not (tmp_path / "new.json").exists()


def test_refuse_unwritable_refuses_a_directory_and_a_missing_one(tmp_path):
    with pytest.raises(InputOutputError, match=r"--json .*: cannot be written"):
        refuse_unwritable(tmp_path)
    with pytest.raises(InputOutputError, match=r"--plot .*/none/f.png: no such directory: .*/none"):
        refuse_unwritable(tmp_path / "none" / "f.png", "--plot")
