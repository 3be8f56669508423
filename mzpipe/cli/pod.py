"""`mzpipe pod ADDRESS --key FILE`: actors and reanalyzers of a run that trains on another machine."""

import argparse
import sys
from pathlib import Path

from ..cluster.keys import read_key
from ..config.cluster import split_address
from ..errors import UsageError
from ..launch.pod import default_pod_directory, run_pod
from ..runs.directory import RunDirectory
from ..telemetry import make_view
from .profile_arguments import add_import_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("address", help="where the run's machine listens: host:port, as train tells it")
    parser.add_argument("--key", type=Path, required=True, help="the pod's key: RUN/cluster/pod-N.json, mode 0600")
    parser.add_argument("--run-dir", type=Path, help="where the pod's logs go (default: runs/pod-N)")
    add_import_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Joins the run, plays for it until it stops, and returns the exit code."""
    host, port = parse_address(arguments.address)
    directory = RunDirectory(arguments.run_dir or default_pod_directory(read_key(arguments.key)))
    view = make_view(directory.path.name, interval_s=5.0)
    try:
        outcome = run_pod(host, port, arguments.key, directory, view)
    finally:
        view.close()
    if outcome.has_failed:
        sys.stderr.write("\n".join(filter(None, [f"mzpipe pod: {outcome.reason}", outcome.traceback])) + "\n")
    else:
        view.line(outcome.reason)
    return outcome.exit_code


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of the head; raises UsageError."""
    try:
        host, port = split_address(address)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if port == 0:
        raise UsageError(f"{address}: port 0 is no address to reach: give the port that the run has told")
    return host, port
