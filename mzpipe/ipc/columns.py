"""Columns: a record is a NamedTuple whose fields declare their contents; layouts, arrays and typed views follow.

    class Steps(NamedTuple):                                          the declaration: see schema.py
        reward: Annotated[np.ndarray, Column("float32", (), "...")]
    class Trajectory(NamedTuple):
        steps: Annotated[Steps, Each("length")]                       a record in a record: one row per transition

A field's name in a layout is its attribute without the shape suffix: `action` of `action_BK`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from .layout import ArrayLayout, Field

R = TypeVar("R", bound=tuple[Any, ...])
Axis = Literal[
    "length",
    "num_actions",
    "frame_shape",
    "observation_shape",
    "unroll_frames",
    "batch_size",
    "num_unroll_steps",
    "num_states",
    "num_trees",
    "action_vectors",
    "candidate_numbers",
    "longest_game",
]
# Stands for the frames' own dtype.
FRAME_DTYPE = "frame_dtype"
_SUFFIX = re.compile(r"_[A-Z][A-Z0-9]*$")


@dataclass(frozen=True)
class Sizes:
    """The lengths of a record's axes; axes that the record does not have may be left out."""

    length: int = 0
    num_actions: int = 0
    frame_shape: tuple[int, ...] = ()
    frame_dtype: str = "uint8"
    frame_stack: int = 1
    batch_size: int = 0
    num_unroll_steps: int = 0
    num_trees: int = 0
    next_observations: bool = False
    action_size: int = 0
    longest_game: int = 0

    @property
    def candidate_numbers(self) -> int:
        """Numbers of a position's candidates, where actions are vectors."""
        return self.num_actions * self.action_size

    @property
    def action_vectors(self) -> int:
        """The same, with those of the action taken before them."""
        return self.candidate_numbers + self.action_size

    @property
    def num_states(self) -> int:
        """Number of states in an unroll."""
        return self.num_unroll_steps + 1

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of a stacked observation: a frame's, with the first axis `frame_stack` times as long."""
        return (self.frame_shape[0] * self.frame_stack, *self.frame_shape[1:])

    @property
    def unroll_frames(self) -> int:
        """Number of frames in an unroll: the position's stack, and those after its actions if they are wanted."""
        return self.frame_stack + (self.num_unroll_steps if self.next_observations else 0)

    def along(self, axes: Iterable[Axis | int]) -> tuple[int, ...]:
        """The shape with these axes."""
        shape: list[int] = []
        for axis in axes:
            size = axis if isinstance(axis, int) else getattr(self, axis)
            shape += size if isinstance(size, tuple) else (size,)
        return tuple(shape)


class Column(NamedTuple):
    """The declaration of one array of a record."""

    dtype: str
    axes: tuple[Axis | int, ...]
    meaning: str
    # Its name in exported datasets, if that differs from the attribute.
    exported: str = ""
    # The version of the journal's format that introduced it; older journals have zeros for it.
    since: int = 1
    # The array exists only when this switch of Sizes is on.
    only_with: Literal["", "next_observations", "action_size", "longest_game"] = ""

    def exists(self, sizes: Sizes) -> bool:
        """Whether records of these sizes have it."""
        return not self.only_with or bool(getattr(sizes, self.only_with))

    def field(self, attribute: str, sizes: Sizes, leading: tuple[int, ...] = ()) -> Field:
        """Its place in a layout, below these leading axes."""
        dtype = sizes.frame_dtype if self.dtype == FRAME_DTYPE else self.dtype
        return Field(name_of(attribute), dtype, (*leading, *sizes.along(self.axes)))


class Each(NamedTuple):
    """Marks a field that is itself a record: its columns have this axis in front."""

    axis: Axis


class _Declared(NamedTuple):
    """A field of a record: an array with its Column, or a record with its Each; `note` is None without either."""

    attribute: str
    kind: Any
    note: Column | Each | None


@cache
def _declared(record: Any) -> tuple[_Declared, ...]:
    hints = get_type_hints(_class_of(record), include_extras=True)
    return tuple(
        _Declared(name, *(get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, None)))
        for name, hint in hints.items()
    )


def _class_of(record: Any) -> Any:
    """The NamedTuple without its type argument, if it has one."""
    return get_origin(record) or record


def name_of(attribute: str) -> str:
    """A field's name in a layout."""
    return _SUFFIX.sub("", attribute)


def columns(record: type[tuple[Any, ...]]) -> dict[str, Column]:
    """The arrays of a record by attribute, without those of nested records."""
    return {each.attribute: each.note for each in _declared(record) if isinstance(each.note, Column)}


def fields(record: type[tuple[Any, ...]], sizes: Sizes, *leading: int) -> list[Field]:
    """Every array of a record and of its nested records, below these leading axes."""
    found: list[Field] = []
    for attribute, kind, note in _declared(record):
        if isinstance(note, Each):
            found += fields(kind, sizes, *leading, *sizes.along((note.axis,)))
        elif isinstance(note, Column) and note.exists(sizes):
            found.append(note.field(attribute, sizes, leading))
    return found


def begins_with(record: type[tuple[Any, ...]], axis: Axis, sizes: Sizes) -> dict[str, bool]:
    """Whether each array of a record, nested ones too, has this as its first axis; names as in a layout, in order."""
    found: dict[str, bool] = {}
    for attribute, kind, note in _declared(record):
        if isinstance(note, Each):
            found |= dict.fromkeys(begins_with(kind, axis, sizes), note.axis == axis)
        elif isinstance(note, Column) and note.exists(sizes):
            found[name_of(attribute)] = note.axes[:1] == (axis,)
    return found


def nbytes(record: type[tuple[Any, ...]], sizes: Sizes) -> int:
    """Bytes of one record, without padding."""
    return sum(field.nbytes for field in fields(record, sizes))


def assemble(record: type[R], arrays: Mapping[str, np.ndarray]) -> R:
    """The record made of these arrays, named as in a layout; a missing array is None."""
    values = [
        assemble(kind, arrays) if isinstance(note, Each) else arrays.get(name_of(attribute))
        for attribute, kind, note in _declared(record)
    ]
    made: R = _class_of(record)(*values)
    return made


def allocate(record: type[R], sizes: Sizes, *leading: int) -> R:
    """A record of zeros whose pages are all resident from the start."""
    arrays = {field.name: np.empty(field.shape, field.dtype) for field in fields(record, sizes, *leading)}
    for array in arrays.values():
        array.fill(0)
    return assemble(record, arrays)


def named(record: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """Every array of a record by its name in a layout."""
    found: dict[str, np.ndarray] = {}
    for each, value in zip(_declared(type(record)), record, strict=True):
        if isinstance(value, tuple):
            found |= named(value)
        elif value is not None:
            found[name_of(each.attribute)] = value
    return found


def copied(record: R) -> R:
    """The record with arrays of its own."""
    return assemble(type(record), {name: array.copy() for name, array in named(record).items()})


class RecordLayout(ArrayLayout, Generic[R]):
    """The layout of a record, and the record itself over a buffer."""

    def __init__(self, kind: type[R], fields_of_it: Iterable[Field]) -> None:
        super().__init__(fields_of_it)
        self.kind = kind

    @classmethod
    def of(cls, kind: type[R], sizes: Sizes) -> "RecordLayout[R]":
        """The layout as the record declares it."""
        return cls(kind, fields(kind, sizes))

    def record(self, buffer, offset: int = 0) -> R:
        """A record of views over `buffer` from `offset` on; no copy."""
        return assemble(self.kind, self.views(buffer, offset))
