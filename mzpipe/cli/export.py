"""`mzpipe export RUN`: a run's trajectories as npz files for other programs."""

import argparse
from pathlib import Path

from rich.console import Console

from ..config import load_profile
from ..errors import UsageError
from ..launch.run_directory import RunDirectory
from ..replay.dataset import export_dataset
from ..replay.journal import has_journal, read_journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", type=Path, help="a run directory, of a run that is not live")
    parser.add_argument("--out", type=Path, help="directory to make for the dataset (default: RUN/dataset)")


def run(arguments: argparse.Namespace) -> int:
    """Exports, and says what and where."""
    directory = RunDirectory(arguments.run)
    if not directory.profile.is_file():
        raise UsageError(f"{directory.path}: no run here (no profile.toml)")
    if not has_journal(directory.journal):
        raise UsageError(f"{directory.journal}: holds no journal (was it run with replay.journal=false?)")
    profile = load_profile(directory.profile)
    out = arguments.out or directory.path / "dataset"
    directory.refuse_live()
    contents = read_journal(directory.journal)
    exported = export_dataset(contents, out, game=profile.game.name, discount=profile.search.discount)
    console = Console(highlight=False)
    for note in contents.notes:
        console.print(note, markup=False, soft_wrap=True)
    console.print(
        f"{exported.transitions:,} transitions of {exported.episodes:,} episodes in {exported.files} file(s): {out}   "
        "(read: mzpipe.replay.dataset.read_dataset)",
        markup=False,
        soft_wrap=True,
    )
    return 0
