"""The page of the Python API: `python -m mzpipe.python_page > docs/python.md` writes it from the code's own words."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from textwrap import dedent
from typing import Any

from . import errors
from .format import markdown_table

# Each package, and those of its names that the page explains.
_PACKAGES = {
    "mzpipe": ("train", "Run", "Evaluation", "load_profile", "Profile", "make_game", "allow_own_code"),
    "mzpipe.trained": ("Player", "Decision"),
    "mzpipe.search": (
        "BatchedSearch",
        "DeepSearch",
        "SearchConfig",
        "SearchResult",
        "SearchedTree",
        "sample_action",
        "search_bytes",
    ),
    "mzpipe.games.game": ("Game", "GameSpec", "StepResult"),
}
# Sections of a profile, whose fields have a page of their own.
_SETTINGS = {"Profile": "settings.md", "SearchConfig": "settings.md#search"}
# A longer signature has a line for each parameter.
_MAX_LINE = 88
_COMMENT = re.compile(r"\s*# ?(.*)")

_PAGE = """\
# Python API

Written by `python -m mzpipe.python_page > docs/python.md`, from the signatures, docstrings and comments in the code.
What is not on this page may change without notice. Arrays have their shape in their name: `visits_BA` has a row for
each of B trees and a column for each of A actions.

{packages}

## Errors

All errors that mzpipe raises on purpose are in `mzpipe.errors`. The number is the exit code of a command that ends
with the error.

{errors}
"""

_Function = ast.FunctionDef


def page() -> str:
    """The whole page, in Markdown."""
    packages = "\n\n".join(f"## {package}\n\n{_package(package, names)}" for package, names in _PACKAGES.items())
    return _PAGE.format(packages=packages, errors=markdown_table(("error", "is a", "code", "meaning"), _errors()))


def _package(package: str, names: tuple[str, ...]) -> str:
    module = import_module(package)
    parts = (part for name in names for part in _entry(f"{package}.{name}", getattr(module, name)))
    return "\n\n".join(filter(None, parts))


def _entry(name: str, thing: Any) -> Iterator[str]:
    source = dedent(inspect.getsource(thing))
    (node,) = ast.parse(source).body
    yield f"### {name.rpartition('.')[2]}"
    if isinstance(node, _Function):
        yield from _function(name, node)
    elif isinstance(node, ast.ClassDef):
        node.body += _inherited(thing)
        yield from _class(name, node, source.splitlines())


def _inherited(kind: type) -> Iterator[_Function]:
    """The methods that a class has from other classes of mzpipe."""
    for base in kind.__mro__[1:]:
        if base.__module__.startswith("mzpipe."):
            (node,) = ast.parse(dedent(inspect.getsource(base))).body
            assert isinstance(node, ast.ClassDef)
            yield from (each for each in node.body if isinstance(each, _Function) and each.name not in vars(kind))


def _function(name: str, node: _Function, *, is_method: bool = False) -> Iterator[str]:
    yield f"```python\n{name}{_signature(node, is_method)}\n```"
    yield _docstring(node)


def _class(name: str, node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    short = node.name
    methods = [each for each in node.body if isinstance(each, _Function)]
    yield f"```python\nfrom {name.rpartition('.')[0]} import {short}\n```"
    yield _docstring(node)
    for method in methods:
        if method.name == "__init__":
            yield f"```python\n{short}{_signature(method, True)}\n```"
            yield _docstring(method)
    if short in _SETTINGS:
        yield f"Its fields are those of [Settings]({_SETTINGS[short]})."
    elif rows := [*_fields(node, lines), *map(_property, filter(_is_property, methods))]:
        yield markdown_table(("attribute", "kind", "meaning"), rows)
    for method in methods:
        if not method.name.startswith("_") and not _is_property(method):
            yield f"#### {short}.{method.name}"
            yield from _function(f"{short}.{method.name}", method, is_method=True)


def _signature(node: _Function, is_method: bool) -> str:
    """The parameters as the code has them, without self, and the kind of the result."""
    parameters = list(_parameters(node.args))[is_method:]
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None and node.name != "__init__" else ""
    line = f"({', '.join(parameters)}){result}"
    return line if len(line) < _MAX_LINE else "\n".join(["(", *(f"    {each}," for each in parameters), f"){result}"])


def _parameters(node: ast.arguments) -> Iterator[str]:
    yield from map(_parameter, node.args, [None] * (len(node.args) - len(node.defaults)) + [*node.defaults])
    if node.kwonlyargs:
        yield "*"
    yield from map(_parameter, node.kwonlyargs, node.kw_defaults)
    if node.kwarg is not None:
        yield f"**{ast.unparse(node.kwarg)}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default is not None else "")


def _fields(node: ast.ClassDef, lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """The fields of a record, each with the comment at its line's end or above it."""
    end = node.lineno
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            last = each.end_lineno or each.lineno
            places = [lines[last - 1][each.end_col_offset :], *lines[end : each.lineno - 1]]
            comment = " ".join(found[1] for place in places if (found := _COMMENT.fullmatch(place)))
            yield f"`{each.target.id}`", f"`{ast.unparse(each.annotation)}`", comment
        end = each.end_lineno or 0


def _is_property(node: _Function) -> bool:
    return any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)


def _property(node: _Function) -> tuple[str, str, str]:
    kind = f"`{ast.unparse(node.returns)}`" if node.returns is not None else ""
    return f"`{node.name}`", kind, " ".join(_docstring(node).split())


def _docstring(node: ast.ClassDef | _Function) -> str:
    return ast.get_docstring(node) or ""


def _errors() -> Iterator[tuple[str, ...]]:
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.MzpipeError):
            parents = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
            yield f"`{name}`", parents, str(int(error.exit_code)), inspect.getdoc(error) or ""


if __name__ == "__main__":
    sys.stdout.write(page())
