"""Fakes that several of the supervisor's tests share."""


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s


class Screen:
    """A view that remembers its lines and snapshots."""

    def __init__(self):
        self.lines, self.snapshots = [], []

    def line(self, text):
        self.lines.append(text)

    def update(self, snapshot):
        self.snapshots.append(snapshot)

    def close(self):
        pass
