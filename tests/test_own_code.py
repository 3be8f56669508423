"""A user's own code: the class that a setting names, and the errors in it, in the setting's words."""

import pytest

from mzpipe.errors import ConfigError, GameError, OwnCodeError
from mzpipe.own_code import allow_own_code, asked, find_own_class, is_own_class, own_code_allowed


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")


def test_class_is_found_under_the_name_that_a_setting_gives():
    assert find_own_class("network.kind", "tests.games.own_games:Walk").__name__ == "Walk"


def test_errors_name_the_setting():
    with pytest.raises(ConfigError, match=r"network.kind='sys:Net': sys has no Net"):
        find_own_class("network.kind", "sys:Net")
    allow_own_code(False)
    with pytest.raises(ConfigError, match=r"network.kind='sys:Net': this imports code: give --allow-env-import"):
        find_own_class("network.kind", "sys:Net")
    assert not own_code_allowed()


@pytest.mark.parametrize("body", ["raise RuntimeError('no licence')", "import sys; sys.exit(3)"])
def test_module_that_raises_at_import_is_told_as_the_callers_error(body, tmp_path, monkeypatch):
    (tmp_path / "raises_at_import.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        GameError, match=r"raises_at_import:X: import raises_at_import .*\(raises_at_import.py, line 1\)"
    ):
        find_own_class("game.name", "raises_at_import:X", GameError)


def test_asked_keeps_mzpipes_own_errors():
    def refuse():
        raise ConfigError("telemetry.loggers: no")

    with pytest.raises(ConfigError, match=r"^telemetry.loggers: no$"):
        asked(OwnCodeError, "mine:Logger", "open()", refuse)


@pytest.mark.parametrize(("name", "expected"), [("a.b:C", True), ("mlp", False), ("a:b-v0", False), (":C", False)])
def test_only_module_and_class_are_an_own_class(name, expected):
    assert is_own_class(name) is expected
