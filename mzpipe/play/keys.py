"""Keys: which action of a game the keys that are down mean."""

from collections.abc import Iterable

import pygame

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
