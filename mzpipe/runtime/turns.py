"""Turns: round robin among a few clients that want the same room."""


class Turns:
    """Starts after the client that was served last, so that equal demands get equal shares of any amount of room."""

    def __init__(self, count: int) -> None:
        self._count, self._first = count, 0

    def order(self) -> list[int]:
        """The clients' indices, in the order in which to ask them."""
        return [*range(self._first, self._count), *range(self._first)]

    def served(self, index: int) -> None:
        """Says that this client was served: all others come before it in the next order."""
        self._first = (index + 1) % self._count
