"""Seeds of a run's random streams, all derived from the profile's one seed."""

import zlib

import numpy as np


def derive_seed(seed: int, *path: str | int) -> int:
    """A seed in [0, 2^31) for the stream named by `path`, as in derive_seed(0, "actor", 3, "search")."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0]) & 0x7FFF_FFFF
