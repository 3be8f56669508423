"""Games of one player by keys: what keys mean, and episodes in an invisible window."""

import os

import pytest

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import pygame

from mzpipe.trained.play.keyboard import Keyboard, play_by_keyboard
from mzpipe.trained.player import Player
from mzpipe.trained.watched import WatchedGame
from tests.trained.runs import BOARD, PONG, make_run

BREAKOUT = ("NOOP", "FIRE", "RIGHT", "LEFT")
SEAQUEST = (*BREAKOUT, "UP", "UPRIGHT", "UPRIGHTFIRE")
LANDER = ("nothing", "left engine", "main engine", "right engine")
UP, RIGHT, LEFT, SPACE = pygame.K_UP, pygame.K_RIGHT, pygame.K_LEFT, pygame.K_SPACE


def down(*keys):
    return [pygame.event.Event(pygame.KEYDOWN, key=key) for key in keys]


def up(*keys):
    return [pygame.event.Event(pygame.KEYUP, key=key) for key in keys]


@pytest.mark.parametrize(
    ("names", "keys", "action"),
    [
        (BREAKOUT, (), "NOOP"),
        (BREAKOUT, (LEFT,), "LEFT"),
        (BREAKOUT, (UP,), "NOOP"),
        (SEAQUEST, (UP, RIGHT), "UPRIGHT"),
        (SEAQUEST, (UP, RIGHT, SPACE), "UPRIGHTFIRE"),
        (SEAQUEST, (pygame.K_2, UP), "FIRE"),
        (LANDER, (UP,), "main engine"),
        (LANDER, (), "nothing"),
    ],
)
def test_keys_mean_the_action_that_takes_the_most_of_them(names, keys, action):
    keyboard = Keyboard(names)
    keyboard.take(down(*keys))
    assert names[keyboard.action()] == action


def test_key_that_is_let_go_means_nothing_more():
    keyboard = Keyboard(("left", "right"))
    assert keyboard.action() is None
    keyboard.take(down(RIGHT))
    assert keyboard.action() == 1
    keyboard.take(up(RIGHT))
    assert keyboard.action() is None


def test_key_that_was_let_go_before_the_next_look_counts_once():
    keyboard = Keyboard(("left", "right"))
    keyboard.take([*down(RIGHT), *up(RIGHT)])
    assert keyboard.action() == 1
    keyboard.take([])
    assert keyboard.action() is None


@pytest.mark.parametrize("event", [pygame.event.Event(pygame.QUIT), *down(pygame.K_ESCAPE)])
def test_escape_and_the_windows_cross_leave(event):
    keyboard = Keyboard(BREAKOUT)
    keyboard.take([event])
    assert keyboard.has_left


def played(run, script, *, advice, monkeypatch):
    """The game after a script of events, one list for each look at the keys."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    looks = iter([*script, [pygame.event.Event(pygame.QUIT)]])
    with WatchedGame(Player.load(run), 0) as watched:
        play_by_keyboard(watched, "a game", advice=advice, events=lambda: next(looks))
    assert not pygame.display.get_init()
    return watched


@pytest.mark.slow
@pytest.mark.parametrize("advice", [False, True])
def test_game_that_waits_moves_with_each_look_at_a_key_that_is_down(tmp_path, monkeypatch, advice):
    watched = played(make_run(tmp_path / "run"), [[], down(RIGHT), up(RIGHT)], advice=advice, monkeypatch=monkeypatch)
    assert (watched.episode, watched.step) == (0, 1)


@pytest.mark.slow
def test_atari_goes_on_by_itself(tmp_path, monkeypatch):
    watched = played(make_run(tmp_path / "run", *PONG), [[], []], advice=False, monkeypatch=monkeypatch)
    assert watched.step == 3  # it does nothing at every look, also at the one that leaves
    assert watched.names[0] == "NOOP"


@pytest.mark.slow
def test_key_of_an_illegal_action_does_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    run = make_run(tmp_path / "run", *BOARD, "game.name=examples.treasure:Treasure")
    watched = played(run, [down(pygame.K_1), *[[]] * 15], advice=False, monkeypatch=monkeypatch)
    assert watched.step < 6  # at the upper wall, which no move goes through
