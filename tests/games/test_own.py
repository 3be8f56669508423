"""`module:Class`: when it may be imported, and the errors for a missing class and for one that is no game."""

import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from mzpipe.config import GameConfig, GymnasiumConfig
from mzpipe.errors import ConfigError, GameError
from mzpipe.games import Symmetry, describe_game, make_game
from mzpipe.own_code import allow_own_code
from mzpipe.runtime.environment import child_environment

GAMES = "tests.games.own_games"


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")


def own(name, **settings):
    return GameConfig(name=f"{GAMES}:{name}", **settings)


def test_a_game_of_two_says_so():
    spec = describe_game(own("Nim"))
    assert (spec.num_players, spec.num_actions, spec.frame_shape) == (2, 3, (8,))
    assert spec.opponents == ("random",)
    assert spec.description == f"{GAMES}:Nim: 8 float32 values, stack 1, 3 actions, 2 players, no cap"


def test_symmetries_of_an_own_game_are_in_its_spec():
    assert describe_game(own("Line")).symmetries == (Symmetry((6, 5, 4, 3, 2, 1, 0), (1, 0)),)
    assert describe_game(own("Nim")).symmetries == ()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("a number", r"Undoing: symmetries must be pairs of points and actions, not 7$"),
        ("a triple", r"Undoing: symmetries\[0\] must be a pair of points and actions, not \("),
        ("too few places", r"Undoing: symmetries\[0\] must be an order of the 9 places of a frame, not range\(0, 8\)$"),
        (
            "an action twice",
            r"Undoing: symmetries\[1\] orders the 2 actions as \[1, 1\]: each of 0 to 1 must",
        ),
    ],
)
def test_symmetries_that_are_no_permutations_are_told_in_one_line(kind, text):
    with pytest.raises(GameError, match=text):
        describe_game(own("Undoing", gymnasium=GymnasiumConfig(arguments={"kind": kind})))


def test_arguments_reach_the_class():
    assert describe_game(own("Nim", gymnasium=GymnasiumConfig(arguments={"heap": 20}))).frame_shape == (21,)


def test_arguments_may_have_any_name():
    arguments = {"name": "a", "place": "b", "function": "c"}
    assert describe_game(own("Named", gymnasium=GymnasiumConfig(arguments=arguments))).frame_shape == (9,)


def test_a_gymnasium_environment_is_played_with_its_images_and_offset_actions_and_a_limit():
    game = make_game(own("Picture", max_episode_moves=2), 2, seed=0)
    assert (game.spec.frame_shape, game.spec.num_actions) == ((3, 4, 5), 2)
    start_BF = game.reset()
    first = game.step(np.array([0, 1]))
    assert first.reward_B.tolist() == [1.0, 2.0]
    assert (first.frame_BF[1, :, 0, 0] == 2).all() and not (start_BF[1, :, 0, 0] == 2).all()
    assert game.step(np.array([0, 1])).truncated_B.all()


def test_nothing_is_imported_without_the_permission(tmp_path, monkeypatch):
    allow_own_code(False)
    (tmp_path / "trap.py").write_text("raise SystemExit('was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"game.name='trap:Game': this imports code: give --allow-env-import"):
        describe_game(GameConfig(name="trap:Game"))


def test_a_module_in_the_working_directory_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere", *__import__("sys").path])
    (tmp_path / "walk_of_mine.py").write_text(f"from {GAMES} import Walk")
    assert describe_game(GameConfig(name="walk_of_mine:Walk")).num_actions == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no_such_module:Game", r"No module named 'no_such_module': looked in .* and on PYTHONPATH"),
        (f"{GAMES}:Chess", r"own_games.py has no Chess"),
        ("sys:Game", "sys has no Game"),
        ("my-game:Game", "is named module:Class, as in my_game:MyGame, or module:Env-v0"),
        ("a:b:c", "is named module:Class"),
        (":Game", "is named module:Class"),
    ],
)
def test_what_is_not_there_is_named_in_one_line(name, text):
    with pytest.raises(ConfigError, match=text) as caught:
        describe_game(GameConfig(name=name))
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_parse_is_named_with_its_line(tmp_path, monkeypatch):
    (tmp_path / "broken_game.py").write_text("class Game\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"expected ':' \(broken_game.py, line 1\)"):
        describe_game(GameConfig(name="broken_game:Game"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Unfinished", "neither a gymnasium environment nor a game: it has no frame_shape, reset, step"),
        ("Board", r"frame_shape=\(3, 3\) is neither \(values,\) nor \(channels, rows, columns\)"),
        ("NoActions", "num_actions=0 must be an integer of at least 1"),
        ("Three", "num_players=3 is neither 1 nor 2"),
        ("TurnsUnsaid", r"num_players=2, but it has no to_play\(\), which says who moves next"),
        ("GAMES", None),
    ],
)
def test_what_is_no_game_is_named_in_one_line(name, text):
    error, text = (GameError, text) if text else (ConfigError, "has no GAMES")
    with pytest.raises(error, match=text):
        describe_game(own(name))


def test_what_a_game_says_of_itself_may_be_numpys():
    spec = describe_game(own("CountsLikeNumpy"))
    said = [spec.num_actions, spec.num_players, spec.frame_dtype]
    assert json.dumps(said) == '[2, 1, "float32"]'  # a rehearsal is remembered under them, and the roles read them


def test_wrong_arguments_are_named():
    with pytest.raises(ConfigError, match=r"arguments=\{'heaps': 2\}: .*unexpected keyword argument 'heaps'"):
        describe_game(own("Nim", gymnasium=GymnasiumConfig(arguments={"heaps": 2})))


def test_an_environment_that_observes_an_image_in_a_dict_is_played_with_its_image():
    assert describe_game(own("Mapping")).frame_shape == (3, 4, 5)


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [True, False])
def test_a_child_process_may_import_what_its_parent_may(allowed):
    allow_own_code(allowed)
    code = (
        "from mzpipe.config import GameConfig; from mzpipe.games import describe_game;"
        f"describe_game(GameConfig(name='{GAMES}:Walk'))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(1), capture_output=True, text=True, timeout=250
    )
    assert (child.returncode == 0) is allowed
    assert ("give --allow-env-import" in child.stderr) is not allowed


def test_an_environment_that_its_module_registers_is_made_as_gymnasium_makes_it(tmp_path, monkeypatch):
    (tmp_path / "registers.py").write_text(
        "import gymnasium\n"
        f"from {GAMES} import Picture\n"
        "gymnasium.register('own/Picture-v3', Picture, max_episode_steps=3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    game = make_game(GameConfig(name="registers:own/Picture-v3"), 1, seed=0)
    game.reset()
    assert [game.step(np.array([0])).truncated_B[0] for _ in range(3)] == [False, False, True]
    with pytest.raises(ConfigError, match=r"registers\.py has no own/Picture-v4"):
        describe_game(GameConfig(name="registers:own/Picture-v4"))
    del gymnasium.registry["own/Picture-v3"]
