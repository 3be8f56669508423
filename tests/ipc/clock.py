"""A clock for code that measures time."""


class Time:
    """A clock that moves when told."""

    def __init__(self):
        self.now_ns = 1_000

    def __call__(self):
        return self.now_ns

    def passes(self, elapsed_ns):
        self.now_ns += elapsed_ns
