"""`--json F` of every verb that has it, and what else a verb writes where it is told to."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ..errors import InputOutputError


def add_json_argument(parser: ArgumentParser, what: str) -> None:
    """--json, as `json`: where `what` is written."""
    parser.add_argument("--json", type=Path, help=f"write {what} here")


def refuse_unwritable(path: Path | None, option: str = "--json") -> None:
    """Before minutes are spent on what could not be written down; raises InputOutputError."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise InputOutputError(f"{option} {path}: no such directory: {path.parent}")
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise InputOutputError(f"{option} {path}: cannot be written")


def write_json(path: Path | None, fields: Any) -> None:
    """Writes the fields where a path was given; raises InputOutputError."""
    if path is not None:
        write_text(path, json.dumps(fields, indent=1) + "\n", "--json")


def write_text(path: Path, text: str, option: str) -> None:
    """Writes what an option has named a file for; raises InputOutputError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputOutputError(f"{option} {path}: cannot be written: {error.strerror}") from None
