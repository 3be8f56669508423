"""What several of the supervisor's tests pretend with."""


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s
