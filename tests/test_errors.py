"""The tree of errors: what its picture says is true, and nobody is told to mend what only mzpipe can."""

import ast
import re
from pathlib import Path

import pytest

from mzpipe import errors
from mzpipe.errors import MzpipeError, UsageError

ROOT = Path(errors.__file__).parent
CLASSES = {
    name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, MzpipeError)
}
# What the roles run while they play, search, store and train.
AT_WORK = ("actor", "evaluator", "inference", "ipc", "learner", "nets", "planning", "reanalyze", "replay", "search")
# About the profile and the machine; a game's own faults are raised in mzpipe/games.
OF_A_START = {"ConfigError", "PlanError"}
# Where a user's own classes and programs are called, which are the user's to mend.
OF_OWN_CODE = {
    ("own.py", "OwnCodeError"),
    ("own_networks.py", "OwnCodeError"),
    ("own_program.py", "OpponentError"),
}


def test_picture_of_the_tree_has_every_error_with_its_exit_code_below_its_base():
    path, pictured = {}, {}
    for indent, name, code in re.findall(r"^    ([| +-]*)(\w+Error) +(\d+)  ", errors.__doc__, re.MULTILINE):
        depth = len(indent) // 4
        path[depth] = name
        pictured[name] = (path.get(depth - 1, "Exception"), int(code))
    assert pictured == {name: (each.__base__.__name__, each.exit_code) for name, each in CLASSES.items()}


def raised_in(package):
    """(module, class) of every error that the package raises by its name."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                yield path.name, node.exc.func.id


@pytest.mark.parametrize("package", AT_WORK)
def test_roles_blame_nobody_but_the_profile_and_the_machine(package):
    blaming = {name for name, each in CLASSES.items() if issubclass(each, UsageError)}
    found = {(module, name) for module, name in raised_in(package) if name in blaming - OF_A_START}
    assert found - OF_OWN_CODE == set()
