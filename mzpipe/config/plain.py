"""Sections of settings where pydantic is not installed: the same fields, defaults and bounds, checked in plain Python.

`mzpipe.search` alone needs no more; profiles are always read with pydantic. It knows the kinds of fields that
config/search.py has, and refuses what pydantic refuses there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from ..errors import ConfigError


class Field(NamedTuple):
    """The bounds of a number, by pydantic's names."""

    ge: float = -math.inf
    gt: float = -math.inf
    le: float = math.inf
    lt: float = math.inf


class AfterValidator(NamedTuple):
    """A further check, which raises ValueError."""

    check: Callable[[Any], Any]


def section(*, frozen: bool) -> Callable[[type], type]:
    """A dataclass whose constructor checks types and ranges."""

    def decorate(cls: type) -> type:
        cls.__post_init__ = _check_fields  # type: ignore[attr-defined]
        return dataclass(frozen=frozen)(cls)

    return decorate


def _check_fields(settings: Any) -> None:
    hints = get_type_hints(type(settings), include_extras=True)
    for field in fields(settings):
        value = getattr(settings, field.name)
        try:
            _check(value, hints[field.name])
        except ValueError as error:
            raise ConfigError(f"{type(settings).__name__}: {field.name}={value!r}: {error}") from None


def _check(value: Any, hint: Any) -> None:
    if get_origin(hint) is Annotated:
        kind, *marks = get_args(hint)
        _check(value, kind)
        for mark in marks:
            mark.check(value) if isinstance(mark, AfterValidator) else _check_bounds(value, mark)
    elif get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"it is none of {', '.join(map(repr, get_args(hint)))}")
    elif get_origin(hint) is tuple:
        _check_tuple(value, get_args(hint))
    elif not isinstance(value, (int, float) if hint is float else hint) or isinstance(value, bool) != (hint is bool):
        raise ValueError(f"it is not of type {hint.__name__}")
    elif hint is float and not math.isfinite(value):
        raise ValueError("it is not finite")


def _check_tuple(value: Any, hints: tuple[Any, ...]) -> None:
    if not isinstance(value, tuple) or len(value) != len(hints):
        raise ValueError(f"it is not a tuple of {len(hints)}")
    for each, hint in zip(value, hints, strict=True):
        _check(each, hint)


def _check_bounds(value: float, bounds: Field) -> None:
    for is_outside, word, bound in (
        (value < bounds.ge, "less than", bounds.ge),
        (value <= bounds.gt, "not above", bounds.gt),
        (value > bounds.le, "more than", bounds.le),
        (value >= bounds.lt, "not below", bounds.lt),
    ):
        if is_outside:
            raise ValueError(f"it is {word} {bound:,}")
