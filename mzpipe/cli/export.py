"""`mzpipe export RUN`: a run's trajectories as npz files, or with --onnx its model, for other programs."""

import argparse
from pathlib import Path

from rich.console import Console

from ..config import Profile, load_profile
from ..errors import UsageError
from ..replay.dataset import export_dataset
from ..replay.journal import has_journal, read_journal
from ..runs.directory import RunDirectory, refuse_no_run
from .profile_arguments import add_import_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", type=Path, help="a run directory; trajectories need a run that is not live")
    add_import_argument(parser)
    parser.add_argument("--onnx", action="store_true", help="the three functions as ONNX files, not the trajectories")
    parser.add_argument(
        "--checkpoint", help="with --onnx: best, latest or a directory's name (default: best, else latest)"
    )
    parser.add_argument(
        "--to", "--out", type=Path, metavar="DIR", help="new directory (default: RUN/dataset, with --onnx RUN/onnx)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exports, and prints what it wrote and where."""
    directory = RunDirectory(arguments.run)
    refuse_no_run(directory.path)
    if arguments.checkpoint is not None and not arguments.onnx:
        raise UsageError("--checkpoint: trajectories belong to no checkpoint: add --onnx, or leave it out")
    profile = load_profile(directory.profile)
    if arguments.onnx:
        lines = _export_model(directory, profile, arguments.checkpoint, arguments.to or directory.path / "onnx")
    else:
        lines = _export_trajectories(directory, profile, arguments.to or directory.path / "dataset")
    console = Console(highlight=False)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    return 0


def _export_trajectories(directory: RunDirectory, profile: Profile, out: Path) -> list[str]:
    if not has_journal(directory.journal):
        raise UsageError(f"{directory.journal}: there is no journal (was the run made with replay.journal=false?)")
    directory.refuse_live()
    contents = read_journal(directory.journal)
    exported = export_dataset(contents, out, game=profile.game.name, discount=profile.search.discount)
    return [
        *contents.notes,
        f"{exported.transitions:,} transitions of {exported.episodes:,} episodes in {exported.files} file(s): {out}   "
        "(read: mzpipe.replay.dataset.read_dataset)",
    ]


def _export_model(directory: RunDirectory, profile: Profile, checkpoint: str | None, out: Path) -> list[str]:
    from .export_onnx import export_model  # imports torch, which trajectories do not need

    exported = export_model(directory, profile, checkpoint, out)
    return [
        f"{exported['checkpoint']} of {exported['game']}, {exported['learner_steps']:,} learner steps: "
        f"representation, dynamics and prediction in {out}   (names and shapes: {out / 'model.json'})"
    ]
