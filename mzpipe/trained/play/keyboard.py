"""Keyboard: games of one player in a window, played by the keys that the names of their actions suggest."""

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
# Words in the names of actions that are not keys themselves.
_SYNONYMS = {"main engine": "up"}
_NOTHING = ("noop", "nothing", "no torque")
_DIGITS = [pygame.K_1, pygame.K_2, pygame.K_3, pygame.K_4, pygame.K_5, pygame.K_6, pygame.K_7, pygame.K_8, pygame.K_9]


class Keyboard:
    """What the keys that are down mean, from the names of a game's actions."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._needs = [_keys_of(name) for name in names]
        self.idle = next((action for action, name in enumerate(names) if name.lower() in _NOTHING), None)
        self._held: set[int] = set()
        # Held at the last look, or struck since the one before: a short stroke counts too.
        self._struck: set[int] = set()
        self.has_left = False

    def take(self, events: Iterable[pygame.event.Event]) -> None:
        """Follows keys down and up, and whether the person leaves."""
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
        """The action that takes the most of the keys that are or were down since the last look.

        Without one the idle action; None where there is none.
        """
        numbered = [action for action, key in enumerate(_DIGITS[: len(self._needs)]) if key in self._struck]
        if numbered:
            return numbered[0]
        held = {word for key, word in _DIRECTIONS.items() if key in self._struck}
        fitting = [action for action, needs in enumerate(self._needs) if needs and needs <= held]
        return max(fitting, key=lambda action: len(self._needs[action]), default=self.idle)


def _keys_of(name: str) -> set[str]:
    """The keys in a name: UPRIGHTFIRE, left engine; none in those that no key suggests."""
    lower = name.lower()
    synonym = {_SYNONYMS[lower]} if lower in _SYNONYMS else set()
    return synonym | {word for word in _DIRECTIONS.values() if word in lower}


_KEYS = "arrows and space, or 1 to 9 for the actions by number; Escape leaves"
# Moves per second: of games that go on by themselves (Atari's, four frames a move), and of those that wait for a key.
_FLOWING, _WAITING = 15, 5
_HEIGHT, _TEXT_HEIGHT, _TEXT_SIZE = 640, 96, 15
_INK, _GROUND = (232, 237, 243), (17, 22, 29)
_MOST_ADVISED = 3
_DRIVER = "SDL_VIDEODRIVER"
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", _DRIVER)
# SDL's last resort.
_UNSEEN = "offscreen"

Events = Callable[[], Iterable[pygame.event.Event]]


def play_by_keyboard(watched: WatchedGame, title: str, *, advice: bool, events: Events | None = None) -> None:
    """One episode after another until the person leaves; keys of illegal actions do nothing.

    `events` stands in for the window's own in tests. Raises UsageError where no window can be opened.
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
        # Without a display, or with one that does not answer, SDL would draw where nobody sees it.
        if not any(os.environ.get(name) for name in _DISPLAYS):
            raise pygame.error(f"none of {', '.join(_DISPLAYS)} is set")
        pygame.display.init()
        if pygame.display.get_driver() == _UNSEEN and not os.environ.get(_DRIVER):
            raise pygame.error("the one that is named does not answer")
        surface = pygame.display.set_mode((_HEIGHT, _HEIGHT + _TEXT_HEIGHT))
    except pygame.error as error:
        pygame.quit()
        raise UsageError(
            f"{title}: it is played in a window, and there is no display here ({error}): "
            "play where there is one, or film the agent with: mzpipe record RUN"
        ) from None
    try:
        pygame.font.init()
        pygame.display.set_caption(title)
        yield surface
    finally:
        pygame.quit()


def _lines(watched: WatchedGame, last: str, position: Position | None) -> list[str]:
    """What stands below the picture."""
    lines = [f"episode {watched.episode + 1}   move {watched.step}   return {watched.returns[0]:g}   {last}", _KEYS]
    if position is None:
        return lines
    decision = position.decision
    best = np.argsort(-decision.visits, kind="stable")[:_MOST_ADVISED]
    advised = ", ".join(f"{watched.names[action]} ({decision.visits[action]})" for action in best)
    return [*lines, f"the agent: value {decision.value:.2f}; {advised}"]


def _show(surface: pygame.Surface, watched: WatchedGame, lines: list[str]) -> None:
    """The picture as large as it fits, the lines below."""
    surface.fill(_GROUND)
    picture = pygame.surfarray.make_surface(watched.picture().swapaxes(0, 1))
    scale = min(_HEIGHT / picture.get_height(), _HEIGHT / picture.get_width())
    picture = pygame.transform.scale_by(picture, scale)
    surface.blit(picture, ((_HEIGHT - picture.get_width()) // 2, 0))
    font = pygame.font.Font(None, _TEXT_SIZE + 7)
    for number, line in enumerate(lines):
        surface.blit(font.render(line, True, _INK), (12, _HEIGHT + 8 + number * (_TEXT_HEIGHT - 12) // 3))
    pygame.display.flip()
