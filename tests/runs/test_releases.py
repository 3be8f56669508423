"""Trained runs that come with mzpipe go by their names, and stay as they are."""

import argparse
from importlib import import_module
from pathlib import Path

import pytest

from mzpipe.cli.main import VERBS
from mzpipe.config.shipped import shipped_profiles
from mzpipe.errors import UsageError
from mzpipe.runs import releases
from mzpipe.runs.directory import RunDirectory, refuse_no_run
from mzpipe.runs.releases import find_run, product_of, shipped_releases

FOLDER = Path(__file__).parents[2] / "releases"
# Verbs that join or watch a live run, which none that comes with mzpipe is.
LIVE = ("top", "role")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """An empty working directory, and one run that comes with mzpipe."""
    (tmp_path / "releases" / "cartpole").mkdir(parents=True)
    (tmp_path / "releases" / "cartpole" / "profile.toml").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(releases, "_DIRECTORY", tmp_path / "releases")
    return tmp_path / "releases" / "cartpole"


def test_shipped_releases_are_those_of_the_folder_and_have_the_names_of_profiles():
    found = {name: path.resolve() for name, path in shipped_releases().items()}
    assert found == {path.name: path.resolve() for path in FOLDER.iterdir() if path.is_dir()}
    assert found and found.keys() <= shipped_profiles().keys()


def test_find_run_takes_a_name_unless_something_has_that_path(shipped):
    assert find_run("cartpole") == shipped
    assert find_run("./cartpole/") == shipped
    for path in (shipped, "runs/cartpole", "nothing"):
        assert find_run(path) == Path(path)
    Path("cartpole").touch()
    assert find_run("cartpole") == Path("cartpole")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("cartpol", r"cartpol: no run here \(no profile.toml\); did you mean cartpole\?"),
        ("acrobot", r"acrobot: no run here .*, and none comes with mzpipe: mzpipe train acrobot makes one"),
        ("runs/cartpol", r"runs/cartpol: no run here \(no profile.toml\)$"),
    ],
)
def test_a_path_without_a_run_is_refused_with_what_may_have_been_meant(shipped, path, message):
    with pytest.raises(UsageError, match=message):
        refuse_no_run(Path(path))


def test_a_shipped_run_is_never_locked_and_stays_as_it_is(shipped):
    with (
        pytest.raises(UsageError, match="this run comes with mzpipe and stays as it is"),
        RunDirectory(shipped).locked(),
    ):
        pass
    assert [path.name for path in shipped.iterdir()] == ["profile.toml"]


def test_what_is_made_of_a_shipped_run_has_its_place_with_the_user(shipped):
    assert product_of(shipped, "video.mp4") == Path("cartpole-video.mp4")
    assert product_of(Path("runs/mine"), "video.mp4") == Path("runs/mine/video.mp4")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in LIVE])
def test_every_verb_that_takes_a_run_takes_a_name(verb):
    parser = argparse.ArgumentParser()
    import_module(f"mzpipe.cli.{verb.replace('-', '_')}").add_arguments(parser)
    runs = [action for action in parser._actions if action.dest in ("run", "runs")]
    assert [action.type for action in runs] == [find_run] * len(runs)
