"""Profiles that come with mzpipe are found by their names."""

from pathlib import Path

import pytest

from mzpipe.config import load_profile
from mzpipe.config.shipped import find_profile, shipped_profiles, shipped_results
from mzpipe.errors import ConfigError

PROFILES = Path(__file__).parents[2] / "profiles"


def test_shipped_profiles_are_those_of_the_folder():
    assert {name: path.resolve() for name, path in shipped_profiles().items()} == {
        path.stem: path.resolve() for path in PROFILES.glob("*.toml")
    }


def test_results_belong_to_shipped_profiles():
    assert shipped_results().keys() <= shipped_profiles().keys()
    assert all(result.minutes and result.score for result in shipped_results().values())


def test_load_profile_takes_a_name_in_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_profile("cartpole") == load_profile(PROFILES / "cartpole.toml")


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cartpole").write_text("seed = 7\nstop.minutes = 1")
    assert load_profile("cartpole").seed == 7


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cartpol", r"cartpol: no such profile; did you mean cartpole\?"),
        (
            "nowhere/cartpole.toml",
            r"nowhere/cartpole.toml: no such file; mzpipe brings a profile of that name: `cartpole`",
        ),
        ("nowhere/mine.toml", r"nowhere/mine.toml: no such profile"),
    ],
)
def test_find_profile_says_what_is_near(word, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        find_profile(Path(word))
