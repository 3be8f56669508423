"""`mzpipe config`: explains the settings of profiles, compares two profiles, writes their JSON schema."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from ..config import Profile, load_profile
from ..config.base import near
from ..config.describe import Section, Setting, schema, sections, toml_value, values
from ..config.shipped import shipped_profiles
from ..errors import ConfigError

_INDENT = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("name", nargs="?", default="", metavar="SECTION[.FIELD]", help="what to explain, as in learner")
    what.add_argument("--diff", nargs=2, type=Path, metavar=("A", "B"), help="show where two profiles differ")
    what.add_argument("--schema", action="store_true", help="write the JSON schema of profiles, for editors")


def run(arguments: argparse.Namespace) -> int:
    """Prints what was asked for."""
    console = Console(highlight=False)
    if arguments.schema:
        sys.stdout.write(schema_text())
    elif arguments.diff:
        console.print(_differences(*arguments.diff))
    else:
        _explain(console, arguments.name)
    return 0


def schema_text() -> str:
    """The JSON schema as docs/profile.schema.json has it."""
    return json.dumps(schema(), indent=1) + "\n"


def _explain(console: Console, name: str) -> None:
    """Explains a field, the fields of a section, or lists all sections; raises ConfigError for any other name."""
    found = sections()
    settings = {setting.name: setting for section in found for setting in section.settings}
    by_name = {section.name: section for section in found}
    if name in settings:
        _print_setting(console, settings[name])
        for line in _profiles_with_another(name):
            console.print(Padding(line, (0, 0, 0, _INDENT)))
    elif not name:
        console.print(_sections(found))
    elif name in by_name:
        console.print(by_name[name].description, markup=False)
        for setting in by_name[name].settings:
            _print_setting(console, setting)
    else:
        raise ConfigError(f"{name}: no such setting{near(name, [*settings, *by_name])}")


def _print_setting(console: Console, setting: Setting) -> None:
    default = f" = {setting.default}" if setting.default else ""
    console.print(f"[bold]{setting.name}{escape(default)}[/]  ({escape(setting.kind)})")
    console.print(Padding(escape(setting.description), (0, 0, 0, _INDENT)))


def _profiles_with_another(name: str) -> Iterator[str]:
    """A line for each value that shipped profiles give this setting instead of its default, with their names."""
    default = toml_value(values(Profile())[name])
    names: dict[str, list[str]] = {}
    for profile, path in shipped_profiles().items():
        names.setdefault(toml_value(values(load_profile(path))[name]), []).append(profile)
    return (escape(f"{value}: {', '.join(who)}") for value, who in names.items() if value != default)


def _sections(found: list[Section]) -> Table:
    table = Table("section", "settings", "what they say")
    for section in found:
        table.add_row(section.name or "(none)", str(len(section.settings)), escape(section.description))
    return table


def _differences(first: Path, second: Path) -> Table:
    """The settings in which two profiles differ."""
    ours, theirs = (values(load_profile(path)) for path in (first, second))
    table = Table("setting", escape(str(first)), escape(str(second)))
    for name, value in ours.items():
        if value != theirs[name]:
            table.add_row(name, *map(escape, map(toml_value, (value, theirs[name]))))
    return table
