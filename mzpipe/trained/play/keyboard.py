"""Plays games of one player in a window, with the keys that the names of their actions suggest."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pygame

from ...errors import UsageError
from ..watched import Position, WatchedGame

_DIRECTIONS = {
    pygame.K_UP: "up",
    pygame.K_DOWN: "down",
    pygame.K_LEFT: "left",
    pygame.K_RIGHT: "right",
    pygame.K_SPACE: "fire",
}
# Names of actions that do not contain the name of a key.
_SYNONYMS = {"main engine": "up"}
_NOTHING = ("noop", "nothing", "no torque")
_DIGITS = [pygame.K_1, pygame.K_2, pygame.K_3, pygame.K_4, pygame.K_5, pygame.K_6, pygame.K_7, pygame.K_8, pygame.K_9]
_KEYS = "arrows and space, or 1 to 9 for the actions by number; Escape leaves"
# Moves per second: in games with an idle action (Atari: four frames a move), and in games that wait for a key.
_FLOWING, _WAITING = 15, 5
_HEIGHT, _TEXT_HEIGHT, _TEXT_SIZE = 640, 96, 15
_INK, _GROUND = (232, 237, 243), (17, 22, 29)
_MOST_ADVISED = 3
_DRIVER = "SDL_VIDEODRIVER"
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", _DRIVER)
# SDL's fallback driver.
_UNSEEN = "offscreen"


class Keyboard:
    """Maps the keys that are down to an action, by the names of a game's actions."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._needs = [_keys_of(name) for name in names]
        self.idle = next((action for action, name in enumerate(names) if name.lower() in _NOTHING), None)
        self._held: set[int] = set()
        # Keys held at the last `take`, or pressed since the one before it: a short press counts too.
        self._struck: set[int] = set()
        self.has_left = False

    def take(self, events: Iterable[pygame.event.Event]) -> None:
        """Records keys going down and up, and whether the person leaves."""
        struck = set()
        for event in events:
            if event.type == pygame.KEYDOWN:
                self._held.add(event.key)
                struck.add(event.key)
            elif event.type == pygame.KEYUP:
                self._held.discard(event.key)
            self.has_left |= event.type == pygame.QUIT or pygame.K_ESCAPE in self._held
        self._struck = self._held | struck

    def action(self) -> int | None:
        """The action that uses the most of the keys that are down or were pressed since the `take` before.

        If no action fits, the idle action; None if the game has none.
        """
        numbered = [action for action, key in enumerate(_DIGITS[: len(self._needs)]) if key in self._struck]
        if numbered:
            return numbered[0]
        held = {word for key, word in _DIRECTIONS.items() if key in self._struck}
        fitting = [action for action, needs in enumerate(self._needs) if needs and needs <= held]
        return max(fitting, key=lambda action: len(self._needs[action]), default=self.idle)


def _keys_of(name: str) -> set[str]:
    """The keys that a name suggests (UPRIGHTFIRE, left engine); empty for other names."""
    lower = name.lower()
    synonym = {_SYNONYMS[lower]} if lower in _SYNONYMS else set()
    return synonym | {word for word in _DIRECTIONS.values() if word in lower}


Events = Callable[[], Iterable[pygame.event.Event]]


def play_by_keyboard(watched: WatchedGame, title: str, *, advice: bool, events: Events | None = None) -> None:
    """Plays one episode after another until the person leaves; keys of illegal actions do nothing.

    `events` replaces the window's own events in tests. Raises UsageError when no window can be opened.
    """
    keyboard, read_events = Keyboard(watched.names), events or pygame.event.get
    with _window(title) as surface:
        clock, position, last = pygame.time.Clock(), None, ""
        while not keyboard.has_left:
            if watched.ended:
                watched.begin()
                position = None
            if advice and position is None:
                position = watched.decide()
            _show(surface, watched, _lines(watched, last, position))
            clock.tick(_WAITING if keyboard.idle is None else _FLOWING)
            keyboard.take(read_events())
            action = keyboard.action()
            if action is not None and watched.allows(action):
                watched.play(action)
                position = None
            if watched.ended:
                last = f"last episode {watched.returns[0]:g}"


@contextmanager
def _window(title: str) -> Iterator[pygame.Surface]:
    try:
        # Without a display, or with one that does not answer, SDL would draw off screen.
        if not any(os.environ.get(name) for name in _DISPLAYS):
            raise pygame.error(f"none of {', '.join(_DISPLAYS)} is set")
        pygame.display.init()
        if pygame.display.get_driver() == _UNSEEN and not os.environ.get(_DRIVER):
            raise pygame.error("the display that is set does not answer")
        surface = pygame.display.set_mode((_HEIGHT, _HEIGHT + _TEXT_HEIGHT))
    except pygame.error as error:
        pygame.quit()
        raise UsageError(
            f"{title}: the game needs a window, and there is no display here ({error}): "
            "play on a machine with a display, or film the agent with: mzpipe record RUN"
        ) from None
    try:
        pygame.font.init()
        pygame.display.set_caption(title)
        yield surface
    finally:
        pygame.quit()


def _lines(watched: WatchedGame, last: str, position: Position | None) -> list[str]:
    """The lines of text below the picture."""
    lines = [f"episode {watched.episode + 1}   move {watched.step}   return {watched.returns[0]:g}   {last}", _KEYS]
    if position is None:
        return lines
    decision = position.decision
    best = np.argsort(-decision.visits, kind="stable")[:_MOST_ADVISED]
    advised = ", ".join(f"{watched.names[action]} ({decision.visits[action]})" for action in best)
    return [*lines, f"the agent: value {decision.value:.2f}; {advised}"]


def _show(surface: pygame.Surface, watched: WatchedGame, lines: list[str]) -> None:
    """Draws the picture as large as it fits, with the lines below it."""
    surface.fill(_GROUND)
    picture = pygame.surfarray.make_surface(watched.picture().swapaxes(0, 1))
    scale = min(_HEIGHT / picture.get_height(), _HEIGHT / picture.get_width())
    picture = pygame.transform.scale_by(picture, scale)
    surface.blit(picture, ((_HEIGHT - picture.get_width()) // 2, 0))
    font = pygame.font.Font(None, _TEXT_SIZE + 7)
    for number, line in enumerate(lines):
        surface.blit(font.render(line, True, _INK), (12, _HEIGHT + 8 + number * (_TEXT_HEIGHT - 12) // 3))
    pygame.display.flip()
