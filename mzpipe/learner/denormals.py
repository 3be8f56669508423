"""Numbers too small for float32's full precision, counted as zero while the learner trains.

Weight decay carries the weights of units that have died below 2^-126, and Adam's averages of their gradients with
them. Arithmetic on such numbers is done in microcode on many CPUs: with a twentieth of CartPole's weights down there, a
training step took 3.5 times as long.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Inside, this thread's torch arithmetic on CPUs takes and gives zeros for denormal numbers; not afterwards.

    Threads that torch starts for the first time inside keep to it.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
