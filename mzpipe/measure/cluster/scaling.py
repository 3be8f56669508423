"""The table of docs/ray.md: what more and more pods would bring.

python -m mzpipe.measure.cluster.scaling PROFILE --measured FILE [--learner RATE] [--set SECTION.FIELD=VALUE ...]

RATE stands for another learner than the measured one, in env steps/s that it pays for.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...config import Profile, load_profile
from ...config.shipped import find_profile
from ...format import markdown_table, number, percent
from ...games import describe_game
from ...launch.plan import make_plan
from ...launch.rehearsal import describe_model
from .cargo import Cargo, cargo_of
from .forecast import BYTES_PER_MBIT, Cluster, forecast
from .lines import simulate
from .rates import Rates, read_rates

PODS = (1, 2, 5, 10, 20, 50, 100)
HEADS = (
    "pods",
    "env steps/s",
    "bound by",
    "Mbit/s in",
    "Mbit/s out",
    "a version every",
    "at all pods after",
    "simulated: env steps/s",
    "actors wait",
    "age of weights",
)


def scaling_rows(
    profile: Profile, cluster: Cluster, rates: Rates, cargo: Cargo, pods: Sequence[int] = PODS
) -> Iterator[tuple[str, ...]]:
    """A row of HEADS for each number of pods."""
    for count in pods:
        each = dataclasses.replace(cluster, pods=count)
        found = forecast(each, rates, cargo)
        outcome = simulate(each, rates, cargo, profile, found)
        yield (
            str(count),
            number(found.env_steps_per_s),
            found.bound,
            number(found.head.received / BYTES_PER_MBIT),
            number(found.head.sent / BYTES_PER_MBIT),
            f"{number(found.version_s)} s",
            f"{number(found.fan_out_s)} s",
            number(outcome.env_steps_per_s),
            percent(outcome.blocked),
            f"{number(outcome.weights_age_s)} s",
        )


def main(words: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="What more and more pods would bring.")
    parser.add_argument("profile", type=Path)
    parser.add_argument("--measured", type=Path, required=True)
    parser.add_argument("--learner", type=float)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args(words)
    profile = load_profile(find_profile(arguments.profile), arguments.overrides)
    game = describe_game(profile.game)
    prepared = describe_model(profile, game)
    shape = make_plan(profile, game, prepared.devices, prepared.model).shape
    rates = read_rates(arguments.measured)
    if arguments.learner is not None:
        rates = rates._replace(learner=arguments.learner)
    rows = scaling_rows(profile, Cluster.of(profile, shape), rates, cargo_of(profile, shape))
    sys.stdout.write(markdown_table(HEADS, rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
