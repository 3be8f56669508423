"""The decorator of every section of a profile: frozen, typed, closed."""

from typing import TYPE_CHECKING, Annotated

try:
    from pydantic import AfterValidator, ConfigDict, Field
    from pydantic.dataclasses import dataclass as pydantic_dataclass
except ModuleNotFoundError:
    HAS_PYDANTIC = False
else:
    HAS_PYDANTIC = True

if TYPE_CHECKING:
    from dataclasses import dataclass as section
elif not HAS_PYDANTIC:  # `mzpipe.search` alone does without it
    from .plain import AfterValidator, Field, section
else:
    _CLOSED = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)

    def section(*, frozen: bool):
        """A dataclass whose constructor checks types and ranges and refuses unknown names."""
        return pydantic_dataclass(frozen=frozen, config=_CLOSED)


import dataclasses
import difflib
from collections.abc import Iterable, Iterator
from typing import Any


def chosen(settings: Any, prefix: str, *names: str) -> Iterator[str]:
    """Returns `prefix` and `field=value`, as a profile spells it, for each of these fields that is not at its default.

    Without names: for every field of the section.
    """
    default = type(settings)()
    for name in names or [field.name for field in dataclasses.fields(settings)]:
        value = getattr(settings, name)
        if value != getattr(default, name):
            yield f"{prefix}{name}={str(value).lower() if isinstance(value, bool) else repr(value)}"


def near(name: str, known: Iterable[str], prefix: str = "") -> str:
    """`; did you mean ...?` with the nearest known name, else `; known here: ...`; empty if no names are known."""
    known = list(known)
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if matches:
        return f"; did you mean {prefix}{matches[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

__all__ = [
    "AfterValidator",
    "Field",
    "Fraction",
    "NonNegativeFloat",
    "NonNegativeInt",
    "PositiveFloat",
    "PositiveInt",
    "chosen",
    "section",
]
