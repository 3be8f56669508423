"""`mzpipe export RUN`: a run's trajectories as npz files, or its model as ONNX, or as a small run for other people."""

import argparse
from pathlib import Path

from rich.console import Console

from ..config import Profile, load_profile
from ..errors import UsageError
from ..replay.dataset import export_dataset
from ..replay.journal import has_journal, read_journal
from ..runs.directory import RunDirectory, refuse_no_run
from ..runs.releases import product_of
from .profile_arguments import add_import_argument, add_run_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_run_argument(parser, "a run directory (trajectories need a run that is not live)")
    add_import_argument(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--onnx", action="store_true", help="the three functions as ONNX files, not the trajectories")
    what.add_argument(
        "--release", action="store_true", help="a checkpoint as a small run that others can play, with a card"
    )
    parser.add_argument(
        "--checkpoint", help="with --onnx or --release: best, latest or a directory's name (default: best, else latest)"
    )
    parser.add_argument(
        "--eval",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="with --release: a file of `mzpipe eval --json`, whose score goes into the card; may be repeated",
    )
    parser.add_argument(
        "--to",
        "--out",
        "--output",
        type=Path,
        metavar="DIR",
        help="new directory (default: RUN/dataset, with --onnx RUN/onnx, with --release RUN/release)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exports, and prints what it wrote and where."""
    directory = RunDirectory(arguments.run)
    refuse_no_run(directory.path)
    if arguments.checkpoint is not None and not arguments.onnx and not arguments.release:
        raise UsageError("--checkpoint: trajectories belong to no checkpoint: add --onnx, or leave it out")
    if arguments.eval and not arguments.release:
        raise UsageError("--eval: only a release has a card: add --release, or leave it out")
    profile = load_profile(directory.profile)
    name = "onnx" if arguments.onnx else "release" if arguments.release else "dataset"
    out = arguments.to or product_of(directory.path, name)
    if arguments.onnx:
        lines = _export_model(directory, profile, arguments.checkpoint, out)
    elif arguments.release:
        lines = _export_release(directory, profile, arguments, out)
    else:
        lines = _export_trajectories(directory, profile, out)
    console = Console(highlight=False)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    return 0


def _export_trajectories(directory: RunDirectory, profile: Profile, out: Path) -> list[str]:
    if not has_journal(directory.journal):
        raise UsageError(f"{directory.journal}: there is no journal (made with replay.journal=false, or a release?)")
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


def _export_release(directory: RunDirectory, profile: Profile, arguments: argparse.Namespace, out: Path) -> list[str]:
    from .export_release import export_release  # imports torch too

    agent = export_release(directory, profile, arguments.checkpoint, out, arguments.eval).agent
    kib = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1024
    return [
        f"{agent.checkpoint} of {agent.game.name}, {agent.learner_steps:,} learner steps: {out}, {kib:,.0f} KiB   "
        f"(its card: {out / 'README.md'})"
    ]
