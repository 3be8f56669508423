"""`mzpipe role ROLE RUN`: one process of a run, started by hand, for example under a debugger."""

import argparse
from pathlib import Path

from ..ipc.roles import Role
from ..ipc.shape import Member
from ..launch.join import join_run
from .profile_arguments import add_import_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("role", choices=sorted({*Role} - {Role.UPLINK}), help="the process's role")
    parser.add_argument("run", type=Path, help="the run directory of a run started with --set topology.external=ROLE")
    add_import_argument(parser)
    parser.add_argument("--index", type=int, default=0, help="which of the role's processes (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Joins the run and works until it stops."""
    return join_run(Member(Role(arguments.role), arguments.index), arguments.run, None)
