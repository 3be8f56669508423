"""`mzpipe profile` with short windows: python -m tests.pipeline.short_profile WORDS."""

import sys
from functools import partial

from mzpipe.cli import profile
from mzpipe.cli.main import main
from mzpipe.measure.profile import Windows, measure_profile

if __name__ == "__main__":
    profile.measure_profile = partial(measure_profile, windows=Windows(warm_up=3.0, alone=1.0, trace=0.5))
    sys.exit(main(["profile", *sys.argv[1:]]))
