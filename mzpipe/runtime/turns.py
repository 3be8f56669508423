"""Turns: round robin among a few that want the same room."""


class Turns:
    """Asks first the one after the last served, so that equal wishes get equal shares, however little room there is."""

    def __init__(self, count: int) -> None:
        self._count, self._first = count, 0

    def order(self) -> list[int]:
        """Whom to ask, in this order."""
        return [*range(self._first, self._count), *range(self._first)]

    def served(self, index: int) -> None:
        """Says who got something: all others are asked before it comes to this one again."""
        self._first = (index + 1) % self._count
