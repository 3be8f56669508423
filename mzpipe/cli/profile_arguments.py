"""Arguments of every verb that takes a profile."""

import argparse
from pathlib import Path


def add_profile_arguments(parser: argparse.ArgumentParser) -> None:
    """PROFILE and --set, as `profile` and `overrides`."""
    parser.add_argument("profile", type=Path, help="a profile, as in profiles/cartpole.toml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one field, as in --set learner.batch_size=512; may be repeated",
    )
