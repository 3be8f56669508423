"""Games checked by random play: right ones pass, and every fault is reported."""

import dataclasses
import re

import numpy as np
import pytest

from mzpipe.config import GameConfig, parse_profile
from mzpipe.games import StepResult, make_game
from mzpipe.games.board_rules import BOARDS
from mzpipe.measure.game import check_game, random_play

OWN = "tests.games.own_games"


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    monkeypatch.setattr(random_play, "_MAX_MOVES", 40)
    monkeypatch.setattr(random_play, "_SPEED_SECONDS", 0.01)


def checks(name, *overrides):
    return {
        check.name: check
        for check in check_game(parse_profile("", ["stop.minutes=1", f"game.name={name}", *overrides]))
    }


def failures(found):
    return {name: check.text for name, check in found.items() if check.passed is False}


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("CartPole-v1", ()),
        ("FrozenLake-v1", ()),
        ("MinAtar/Freeway-v1", ()),
        (f"{OWN}:Walk", ()),
        (f"{OWN}:Nim", ()),
        ("OpenSpiel/2048", ()),
        (f"{OWN}:Picture", ("game.gymnasium.image_channels=last",)),
    ],
)
def test_games_that_keep_to_the_protocol_pass_every_check(name, overrides):
    found = checks(name, *overrides)
    assert failures(found) == {}
    assert [check.passed for check in found.values()].count(True) == 9


@pytest.mark.parametrize(
    ("name", "overrides", "text"),
    [
        ("CartPole-v1", (), "forbids nothing"),
        (f"{OWN}:Nim", (), "the rules' own"),
        ("OpenSpiel/2048", (), "the rules' own"),
        ("Taxi-v4", (), "8 forbidden actions were tried: the game refused, ignored or ended with each"),
        (f"{OWN}:Countdown", (), "8 forbidden actions were tried: the game refused, ignored or ended with each"),
        (
            f"{OWN}:Countdown",
            ("game.gymnasium.arguments.lies=true",),
            r"action 1 was forbidden before move 1 of game 0, but it changes the game, as \d of 8 tried ones do",
        ),
    ],
)
def test_what_a_mask_forbids_is_tried(name, overrides, text):
    found = checks(name, *overrides)
    assert failures(found) == {}
    assert re.search(text, found["mask"].text)


def test_symmetries_of_a_game_with_chance_are_not_tried():
    assert checks("OpenSpiel/2048")["symmetries"].text.startswith("7 declared, not tried: chance would play otherwise")


def test_what_was_seen_is_said():
    found = {name: check.text for name, check in checks(f"{OWN}:Nim").items()}
    assert found["frames"] == "float32 (8,), values from 0 to 1"
    assert found["legal actions"] == "1 to 3 of 3 in every position"
    assert found["players"] == "2"
    assert found["repeats"].endswith("another seed plays the same game: in 40 moves nothing was random")
    assert found["rewards"].startswith("0 to 1, mean ")
    assert found["returns"].startswith("-0.997 to 1, ")
    assert found["reward support"] == "network.reward_support_size: 1"


def test_an_endless_game_is_told_to_be_limited():
    assert "set game.max_episode_moves" in checks(f"{OWN}:Picture")["episodes"].text


def test_a_limit_that_no_episode_reached_is_not_called_held():
    assert checks("CartPole-v1")["time limit"].text == "game.max_episode_moves=7 truncates"
    short = checks(f"{OWN}:Nim", "game.gymnasium.arguments={heap = 3}")["time limit"]
    assert short.text == "not seen: no episode was as long as game.max_episode_moves=7"


def test_supports_are_not_guessed_where_no_reward_was_seen(monkeypatch):
    monkeypatch.setattr(random_play, "_MAX_MOVES", 16)
    assert checks("MinAtar/Freeway-v1")["value support"].text == (
        "network.value_support_size: no reward was seen: random play cannot tell"
    )


@pytest.mark.parametrize(
    ("name", "check", "text"),
    [
        (f"{OWN}:Restless", "repeats", "two games of one seed differ in their first frame"),
        (f"{OWN}:Stuck", "game", f"{OWN}:Stuck: no legal action though the game continues"),
        (f"{OWN}:WrongShape", "game", "returned a frame of shape"),
        ("Pendulum-v1", "game", "game.gymnasium.action_bins=0: say how many values"),
        ("Pnog", "game", "did you mean Pong?"),
    ],
)
def test_a_wrong_game_fails_one_check_in_one_line(name, check, text):
    found = failures(checks(name))
    assert list(found) == [check]
    assert text in found[check]
    assert "\n" not in found[check]


@pytest.mark.parametrize("game", ["Hanging", "HangingEnv"])
@pytest.mark.parametrize("place", ["constructor", "reset", "step"])
def test_a_game_that_hangs_is_told_with_the_line_that_does(place, game, monkeypatch):
    monkeypatch.setattr(random_play, "_HANG_S", 0.5)
    found = failures(checks(f"{OWN}:{game}", f"game.gymnasium.arguments.place={place}"))
    assert list(found) == ["game"]
    assert re.fullmatch(
        rf"{OWN}:{game}: it hangs: no move has ended for 0.5 s \(own_games.py, line \d+\)", found["game"]
    )


class Odd:
    """CartPole, except for what a test replaces."""

    def __init__(self, config, num_games, seed):
        self._game = make_game(config, num_games, seed)
        self._limit = config.max_episode_moves
        self._config, self._num_games, self._seed = config, num_games, seed

    def __getattr__(self, name):
        return getattr(self._game, name)


class Unlimited(Odd):
    def __init__(self, config, num_games, seed):
        super().__init__(GameConfig(name="CartPole-v1"), num_games, seed)


class Reusing(Odd):
    def step(self, action_B):
        result = self._game.step(action_B)
        self._frame_BF = vars(self).get("_frame_BF", result.frame_BF)
        self._frame_BF[...] = result.frame_BF
        return result._replace(frame_BF=self._frame_BF)


class Both(Odd):
    def step(self, action_B):
        result = self._game.step(action_B)
        return result._replace(truncated_B=result.terminated_B)


class Wide(Odd):
    def reset(self, mask_B=None):
        return self._game.reset(mask_B).astype(np.float64)


class NoMask(Odd):
    def legal_actions(self):
        return np.ones((self._game.num_games, 2), np.int8)


class Nothing(Odd):
    def step(self, action_B):
        return StepResult(
            *(array * np.float32(np.nan) if array.dtype == np.float32 else array for array in self._game.step(action_B))
        )


class Alone(Odd):
    def to_play(self):
        return np.full(self._game.num_games, 3, np.int8)


@pytest.mark.parametrize(
    ("odd", "check", "text"),
    [
        (Unlimited, "time limit", "game.max_episode_moves=7 did not truncate an episode"),
        (Reusing, "arrays", "a later move wrote into an array that an earlier one returned"),
        (Both, "ends", "an episode was terminated and truncated at once"),
        (Wide, "frames", "a frame: float64 (4, 4) instead of float32 (4, 4), games first"),
        (NoMask, "legal actions", "legal actions: int8 (4, 2) instead of bool (4, 2)"),
        (Nothing, "frames", "a frame holds numbers that are not finite"),
        (Alone, "players", "to_play was [3] in a game of 1"),
    ],
)
def test_a_family_that_breaks_its_promise_fails_its_check(monkeypatch, odd, check, text):
    monkeypatch.setattr(random_play, "make_game", odd)
    found = failures(checks("CartPole-v1"))
    assert found[check].startswith(text)


@pytest.mark.parametrize(
    ("name", "overrides", "number"),
    [
        ("tic_tac_toe", (), 7),
        ("connect_four", (), 1),
        ("gomoku", ("game.board.size=6", "game.frame_stack=3"), 7),
        ("othello", (), 3),
        ("hex", ("game.board.size=4",), 1),
        ("go", ("game.board.size=4",), 7),
        (f"{OWN}:Line", (), 1),
    ],
)
def test_turned_games_show_turned_frames_and_reward_and_end_alike(monkeypatch, name, overrides, number):
    monkeypatch.setattr(random_play, "_MAX_MOVES", 130)
    found = checks(name, *overrides)
    assert failures(found) == {}
    assert found["symmetries"].text == f"{number} declared, each turned 130 moves"


@pytest.mark.parametrize(
    ("name", "turn", "text"),
    [
        ("connect_four", "top and bottom", r"differs at move 1, in frame"),
        ("othello", "quarter turn", r"not tried: a turned game would have to begin at another frame"),
        ("hex", "diagonal", r"differs at move \d+, in "),
        ("hex", "left and right", r"differs at move \d+, in "),
    ],
)
def test_a_turn_that_is_no_symmetry_of_the_rules_is_told(monkeypatch, name, turn, text):
    monkeypatch.setitem(BOARDS, name, dataclasses.replace(BOARDS[name], symmetries=(turn,)))
    monkeypatch.setattr(random_play, "_MAX_MOVES", 130)
    assert re.search(text, checks(name, *(["game.board.size=4"] if name == "hex" else []))["symmetries"].text)


def test_actions_that_turn_otherwise_than_the_places_are_told():
    fault = failures(checks(f"{OWN}:Line", "game.gymnasium.arguments.wrong=true"))["symmetries"]
    assert fault == "symmetries[0] is none of its rules: the turned game differs at move 1, in frame"
