"""`mzpipe check-network PROFILE|RUN`: checks what the pipeline needs of a network, one line each.

The exit code is 2 if a check fails.
"""

import argparse
from pathlib import Path

from ..config import load_profile
from ..runs.directory import RunDirectory
from .checks import print_checks
from .profile_arguments import add_import_argument, add_overrides_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument(
        "profile", type=Path, help="a profile, or a run directory, whose latest checkpoint is tried too"
    )
    add_overrides_argument(parser)
    add_import_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a row per check as it ends."""
    from ..measure.network import check_network  # imports torch, which --help does not need

    found = RunDirectory(arguments.profile)
    is_run = found.profile.is_file()
    profile = load_profile(found.profile if is_run else arguments.profile, arguments.overrides)
    return print_checks(check_network(profile, found if is_run else None), doing="trying the network")
