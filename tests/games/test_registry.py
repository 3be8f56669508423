"""Names of games: which are known, and the error for every other."""

import dataclasses

import gymnasium
import pytest

from mzpipe.config import AtariConfig, GameConfig, GymnasiumConfig
from mzpipe.config.game import BoardConfig, MinAtarConfig
from mzpipe.errors import ConfigError
from mzpipe.games import is_others_code, make_game, same_game, unused_settings
from mzpipe.games.names import atari_names


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("pong", "Pong"),
        ("CartPole-v2", "CartPole-v1"),
        ("LunarLander-v2", "LunarLander-v3"),
        ("ALE/Brakout-v5", "ALE/Breakout-v5"),
        ("ms_pacman", "MsPacman"),
        ("MinAtar/Brakout", "MinAtar/Breakout"),
        ("Acrobot-v0", "Acrobot-v1"),
        ("SeaquestNoFrameSkip-v4", "SeaquestNoFrameskip-v4"),
    ],
)
def test_make_game_names_the_nearest_game_when_the_name_is_unknown(name, nearest):
    with pytest.raises(ConfigError) as caught:
        make_game(GameConfig(name=name), 1, seed=0)
    assert str(caught.value) == f"game.name={name!r}: unknown game; did you mean {nearest}?"


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("Pong", "ALE/Pong-v5", True),
        ("MinAtar/Breakout", "minatar/breakout", True),
        ("MinAtar/Breakout-v0", "MinAtar/Breakout-v1", False),
        ("Breakout", "MinAtar/Breakout", False),
        ("CartPole-v1", "Acrobot-v1", False),
    ],
)
def test_same_game_knows_every_spelling(name, other, same):
    assert same_game(name, other) is same and same_game(other, name) is same


def test_atari_names_map_every_spelling_to_its_rom():
    names = atari_names()
    for spelling in ("MsPacman", "ALE/MsPacman-v5", "MsPacmanNoFrameskip-v4", "MsPacman-v4"):
        assert names[spelling] == "ms_pacman"
    assert names["ALE/TicTacToe3D-v5"] == "tic_tac_toe_3d"


def test_atari_names_leave_out_cartridges_without_a_mode_for_one_player():
    assert not {"Combat", "Joust", "MazeCraze", "Warlords"} & set(atari_names())


@pytest.mark.parametrize(
    ("name", "settings", "fields"),
    [
        ("Pong", {"gymnasium": GymnasiumConfig(wrappers=("twice",))}, ["game.gymnasium.wrappers=('twice',)"]),
        ("Pong", {"atari": AtariConfig(noop_max=3)}, []),
        ("go", {"board": BoardConfig(komi=6.5)}, []),
        ("hex", {"board": BoardConfig(size=5, komi=6.5)}, ["game.board.komi=6.5"]),
        (
            "MinAtar/Breakout",
            {"minatar": MinAtarConfig(sticky_actions=0.0, difficulty_ramping=False)},
            ["game.minatar.difficulty_ramping=false"],
        ),
        ("MinAtar/Asterix", {"minatar": MinAtarConfig(sticky_actions=0.0, difficulty_ramping=False)}, []),
        ("CartPole-v1", {"atari": AtariConfig(noop_max=3)}, ["game.atari.noop_max=3"]),
        ("my_game:MyGame", {"gymnasium": GymnasiumConfig(arguments={"size": 3})}, []),
    ],
)
def test_settings_without_effect_on_the_game_are_named(name, settings, fields):
    expected = [f"{field}: it has no effect on {name}: leave it out" for field in fields]
    assert unused_settings(GameConfig(name=name, **settings)) == expected


@pytest.mark.parametrize(
    ("name", "is_others"),
    [
        ("CartPole-v1", False),
        ("Pong", False),
        ("MinAtar/Breakout-v1", False),
        ("connect_four", False),
        ("my_game:MyGame", True),
    ],
)
def test_others_code_is_what_neither_mzpipe_nor_a_familys_package_brings(name, is_others):
    assert is_others_code(GameConfig(name=name)) is is_others


def test_others_code_is_what_another_package_registers_with_gymnasium(monkeypatch):
    spec = gymnasium.spec("CartPole-v1")
    monkeypatch.setitem(
        gymnasium.registry, "Theirs-v0", dataclasses.replace(spec, id="Theirs-v0", entry_point="theirs:Env")
    )
    assert is_others_code(GameConfig(name="Theirs-v0"))
