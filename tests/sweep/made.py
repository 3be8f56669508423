"""A sweep over two fields of CartPole whose runs are `fake` programs."""

import json

from mzpipe.config import parse_profile
from mzpipe.sweep.directory import SweepDirectory
from mzpipe.sweep.engine import Engine
from mzpipe.sweep.jobs import LocalRunner
from mzpipe.sweep.spec import read_spec
from mzpipe.sweep.study import Study
from tests.sweep import fake

PROFILE = "[stop]\nlearner_steps = 500\n"
SPACE = """
[space]
"learner.learning_rate" = {low = 1e-4, high = 1e-2, log = true}
"search.num_simulations" = {low = 8, high = 32, step = 8}
"""


class Sweep:
    """One directory, and sessions in it."""

    def __init__(self, path, text=f"trials = 3\n{SPACE}", **plans):
        self.directory, self.lines = SweepDirectory(path), []
        path.mkdir(exist_ok=True)
        (path / "plan.json").write_text(json.dumps(plans))
        (path / "swept.toml").write_text(text)
        self.spec = read_spec(path / "swept.toml")

    def study(self):
        return Study(self.spec, self.directory.url(""), "sweep", fake.INTERVAL)

    def engine(self, jobs=1, line=None, max_failures=3):
        return Engine(
            self.study(),
            self.directory,
            LocalRunner(jobs, ("tests.sweep.fake",)),
            jobs,
            lambda settings: parse_profile(PROFILE, settings),
            line or self.lines.append,
            max_failures=max_failures,
        )

    def run(self, **options):
        """One session to its end."""
        with self.directory.locked():
            return self.engine(**options).run()

    def rows(self):
        return self.study().rows()

    def states(self):
        return [row.state for row in self.rows()]

    def starts(self):
        """(trial, pid, cores) of every run that was started."""
        return [line.split() for line in (self.directory.path / "starts").read_text().splitlines()]
