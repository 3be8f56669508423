"""A logger that hangs from some second after its opening on, holding the interpreter's lock."""

import os
from time import monotonic

from tests.loggers.bad import hold_the_interpreter

# The variable that says how many seconds after.
HANG_AFTER_S = "MZPIPE_DRILL_HANG_AFTER_S"


class HangsLater:
    def open(self, run):
        self.hang_at_s = monotonic() + float(os.environ[HANG_AFTER_S])

    def log(self, values, env_steps, learner_steps, time):
        if monotonic() >= self.hang_at_s:
            hold_the_interpreter()

    def close(self):
        pass
