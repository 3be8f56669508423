"""What the settings of a profile say of themselves, from their declarations.

`mzpipe config`, docs/settings.md and docs/profile.schema.json are made of it.
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from .profile import Profile

_BARE = {"boolean": "true or false", "string": "string"}
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "exclusiveMaximum": "below", "maximum": "at most"}


class Setting(NamedTuple):
    """One setting: its name as a profile spells it, what may stand there, its default as in TOML, and what it does."""

    name: str
    kind: str
    default: str
    description: str


class Section(NamedTuple):
    """One section of a profile; the name is "" for the settings outside all sections."""

    name: str
    description: str
    settings: tuple[Setting, ...]


def schema() -> dict[str, Any]:
    """The JSON schema of a profile, with which editors complete and check one."""
    tree = TypeAdapter(Profile).json_schema()
    replay = tree["$defs"]["ReplayConfig"]["properties"]
    replay["from"] = replay.pop("source")  # as a file spells it
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **tree}


def sections() -> list[Section]:
    """Every section, in the order of the declarations."""
    tree = schema()
    return list(_sections(tree, tree, "", values(Profile())))


def _sections(tree: dict[str, Any], node: dict[str, Any], name: str, defaults: dict[str, Any]) -> Iterator[Section]:
    prefix = f"{name}." if name else ""
    inner, settings = [], []
    for field, value in node["properties"].items():
        if "$ref" in value:
            inner.append((f"{prefix}{field}", tree["$defs"][value["$ref"].rpartition("/")[2]]))
        else:
            default, description = toml_value(defaults[f"{prefix}{field}"]), _flat(value["description"])
            settings.append(Setting(f"{prefix}{field}", kind_of(value), default, description))
    yield Section(name, _flat(node["description"]), tuple(settings))
    for inner_name, inner_node in inner:
        yield from _sections(tree, inner_node, inner_name, defaults)


def kind_of(value: dict[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "anyOf" in value:
        return " or ".join(kind_of(each) for each in value["anyOf"] if each.get("type") != "null")
    if "enum" in value:
        *most, last = map(json.dumps, value["enum"])
        return f"{', '.join(most)} or {last}"
    match value["type"]:
        case "integer" | "number":
            return f"{value['type']}{_bounds(value)}"
        case "array" if "prefixItems" in value:
            return f"list of {len(value['prefixItems'])}, each: {kind_of(value['prefixItems'][0])}"
        case "array":
            return f"list, each: {kind_of(value['items'])}"
        case "object":
            return f"table, each: {' or '.join(kind_of(each) for each in value['patternProperties'].values())}"
        case bare:
            return _BARE[bare]


def _bounds(value: dict[str, Any]) -> str:
    if "minimum" in value and "maximum" in value:
        return f" from {_number(value['minimum'])} to {_number(value['maximum'])}"
    words = [f"{word} {_number(value[name])}" for name, word in _BOUNDS.items() if name in value]
    return f" {' and '.join(words)}" if words else ""


def _number(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def toml_value(value: Any) -> str:
    """A value as a profile spells it; "" for none."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {toml_value(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value)


def values(profile: Profile) -> dict[str, Any]:
    """Every setting of a profile by its name; None where it has none."""
    return dict(_values(dataclasses.asdict(profile), Profile, ""))


def _values(tree: dict[str, Any], section: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(section):
        value, name = tree[field.name], f"{prefix}{field.name}"
        if dataclasses.is_dataclass(field.type):
            yield from _values(value, field.type, f"{name}.")
        else:
            yield "replay.from" if name == "replay.source" else name, value


def _flat(text: str) -> str:
    return " ".join(text.split())
