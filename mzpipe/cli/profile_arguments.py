"""Arguments that several verbs share: of those that take a profile, make its game, or load a checkpoint."""

import argparse
from pathlib import Path


def add_profile_arguments(parser: argparse.ArgumentParser) -> None:
    """PROFILE, --set and --allow-env-import, as `profile`, `overrides` and `allow_env_import`."""
    parser.add_argument("profile", type=Path, help="a profile, as in profiles/cartpole.toml")
    add_overrides_argument(parser)
    add_import_argument(parser)


def add_overrides_argument(parser: argparse.ArgumentParser) -> None:
    """--set, as `overrides`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one field, as in --set learner.batch_size=512; may be repeated",
    )


def add_import_argument(parser: argparse.ArgumentParser) -> None:
    """--allow-env-import, which `main` hands to this process and to its children."""
    parser.add_argument(
        "--allow-env-import",
        action="store_true",
        help="import the code that game.name=module:Class names; only for profiles and runs that you trust",
    )


def add_checkpoint_argument(parser: argparse.ArgumentParser) -> None:
    """--checkpoint, as `checkpoint`: what load_trained takes."""
    parser.add_argument("--checkpoint", help="best, latest or a directory's name (default: best, else latest)")
