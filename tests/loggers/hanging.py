"""A logger that hangs from some second after its first point on, holding the interpreter's lock."""

import os
from time import monotonic

from tests.loggers.bad import hold_the_interpreter

# The variable that says how many seconds after.
HANG_AFTER_S = "MZPIPE_DRILL_HANG_AFTER_S"


class HangsLater:
    def open(self, run):
        self.hang_at_s = None

    def log(self, values, env_steps, learner_steps, time):
        self.hang_at_s = self.hang_at_s or monotonic() + float(os.environ[HANG_AFTER_S])
        if monotonic() >= self.hang_at_s:
            hold_the_interpreter()

    def close(self):
        pass
