"""Reads a checked `Profile` from a TOML file and `--set` overrides, and writes it back to a file.

Every user mistake becomes one `ConfigError` line with the field, the value, the
bound, and the nearest valid name.
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from ..errors import ConfigError, InputOutputError
from ..reading import read_file
from .base import near
from .profile import Profile
from .protocols import fill_in_protocol
from .shipped import find_profile
from .validate import check_profile

MAX_PROFILE_BYTES = 64 * 1024
# Some editors begin a file of UTF-8 with it.
_BYTE_ORDER_MARK = "\ufeff"
# tomllib takes time quadratic in the dots of a key; a key can also follow an equals sign (inline tables).
MAX_KEY_DOTS = 8
_KEY_PART = r"(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')"
_LONG_KEY = re.compile(rf"(?<![\w-]){_KEY_PART}(?:[ \t]*+\.[ \t]*+{_KEY_PART}){{{MAX_KEY_DOTS + 1},}}")


def load_profile(path: Path | str, overrides: Iterable[str] = ()) -> Profile:
    """The profile in `path`, or the shipped one of that name, with the `key=value` overrides applied, in order.

    Raises ConfigError: the profile is missing, too large or not TOML; a field is
    unknown, of the wrong type, out of range, or contradicts the game's protocol.
    """
    text = _read(Path(path)).removeprefix(_BYTE_ORDER_MARK)
    try:
        return parse_profile(text, overrides, source=str(path))
    except ConfigError as error:
        if text.strip():
            raise
        raise ConfigError(f"{path}: empty: {error}") from None


def parse_profile(text: str, overrides: Iterable[str] = (), *, source: str = "profile") -> Profile:
    """Reads a profile from TOML text; `source` names the text in errors."""
    tree = parse_toml(text, source)
    for override in overrides:
        _apply_override(tree, override)
    _rename(tree, "from", "source")
    profile: Profile = make_section(Profile, tree)
    profile = dataclasses.replace(profile, game=fill_in_protocol(profile.game, tree.get("game", {})))
    check_profile(profile)
    return profile


def make_section(section: Any, tree: Mapping[str, Any]) -> Any:
    """An object of a section's class; raises ConfigError for what the class does not declare."""
    _refuse_unknown_names(tree, section, prefix="")
    _refuse_control_characters(tree, prefix="")
    return _build(section, tree)


def _refuse_control_characters(tree: Mapping[str, Any], prefix: str) -> None:
    """Raises ConfigError for a text that would steer a terminal: the profile may be a stranger's."""
    for name, value in tree.items():
        if isinstance(value, dict):
            _refuse_control_characters(value, f"{prefix}{name}.")
        elif not all(text.isprintable() for text in _texts(value)):
            raise ConfigError(f"{prefix}{name}={value!r:.100}: it holds control characters: write it without")


def _texts(value: Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def profile_text(profile: Profile) -> str:
    """Every field of `profile` as TOML; fields without a value are left out."""
    tree = _without_none(dataclasses.asdict(profile))
    _rename(tree, "source", "from")
    return tomli_w.dumps(tree)


def _rename(tree: dict[str, Any], name: str, new_name: str) -> None:
    """Renames a field of [replay]: `from` in a file is `source` in the program, where `from` is a keyword."""
    section = tree.get("replay")
    if isinstance(section, dict) and name in section:
        section[new_name] = section.pop(name)


def _read(path: Path) -> str:
    try:
        return read_file(find_profile(path), MAX_PROFILE_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read as a profile: {error}") from None
    except InputOutputError as error:
        raise ConfigError(f"{error}: not a profile") from None


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The tree of a TOML text of a stranger; raises ConfigError, naming the source."""
    for number, line in enumerate(text.splitlines(), start=1):
        key = None if line.lstrip().startswith("#") else _LONG_KEY.search(line)
        if key is not None:
            dots = len(re.findall(_KEY_PART, key[0])) - 1
            raise ConfigError(f"{source}, line {number}: a key has {dots} dots, at most {MAX_KEY_DOTS}")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{source}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # from tomllib, or from Python for an integer of thousands of digits
        raise ConfigError(f"{source}: not valid TOML: {error}") from None


def _apply_override(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {override}: write it as section.field=value, as in --set learner.batch_size=512")
    if len(names) - 1 > MAX_KEY_DOTS:
        raise ConfigError(f"--set {override[:60]}...: {len(names) - 1} dots, at most {MAX_KEY_DOTS}")
    table = tree
    for name in names[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {name} is a field, not a section")
    table[names[-1]] = _parse_value(text.strip())


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text  # a bare word: --set topology.external=actor


def _refuse_unknown_names(tree: Mapping[str, Any], section: Any, prefix: str) -> None:
    fields = {field.name: field for field in dataclasses.fields(section)}
    for name, value in tree.items():
        if name not in fields:
            where = f"{prefix}{name}"
            raise ConfigError(
                f"{where}: unknown {'section' if isinstance(value, dict) else 'field'}{near(name, fields, prefix)}"
            )
        field_type = fields[name].type
        if dataclasses.is_dataclass(field_type):
            if not isinstance(value, dict):
                raise ConfigError(
                    f"{prefix}{name}={value!r}: this is a section, set one of its fields: "
                    f"{', '.join(f.name for f in dataclasses.fields(field_type))}"
                )
            _refuse_unknown_names(value, field_type, f"{prefix}{name}.")


def _build(section: Any, tree: Mapping[str, Any], prefix: str = "") -> Any:
    types = {field.name: field.type for field in dataclasses.fields(section)}
    values = {
        name: _build(types[name], value, f"{prefix}{name}.")
        if dataclasses.is_dataclass(types[name])
        else _tuples(value)
        for name, value in tree.items()
    }
    try:
        return section(**values)
    except ValidationError as error:
        raise ConfigError(_first_problem(error, prefix)) from None


def _first_problem(error: ValidationError, prefix: str) -> str:
    problem, *others = error.errors(include_url=False)
    place, message = problem["loc"][:2] if len(problem["loc"]) > 2 else problem["loc"][:1], problem["msg"]
    if any(other["loc"][: len(place)] == place for other in others):  # one of several kinds, of which it is none
        kinds = dict.fromkeys(each["type"].partition("_")[0] for each in (problem, *others))
        message = f"it is none of the kinds that may stand here: {', '.join(kinds)}"
    where = ".".join(str(part) for part in place)
    return f"{prefix}{where}={problem['input']!r}: {message[0].lower()}{message[1:]}"


def _tuples(value: Any) -> Any:
    """The value with TOML's arrays as tuples, as the sections declare them."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
