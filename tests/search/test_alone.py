"""The search without any package but numpy and Numba: its example runs, and its settings keep their bounds."""

import inspect
import subprocess
import sys

import pytest

from mzpipe.search import SearchConfig
from tests.search.test_example import example

# Imports only what comes with Python, and these.
ALONE = """
import sys
ALLOWED = {"numpy", "numba", "llvmlite", "mzpipe"}
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nothing())
for name in set(sys.modules):  # a package that was loaded at the start, by a .pth file
    if name.partition(".")[0] not in sys.stdlib_module_names | ALLOWED | {"__main__"}:
        del sys.modules[name]
"""
SETTINGS = [
    {},
    *({"num_simulations": value} for value in (0, 1, 2000, 2001, True, 5.0, "5", None)),
    *({"discount": value} for value in (-1.0, -1.1, 1, 1.1, float("nan"), float("inf"), True, "1")),
    *({"policy": value} for value in ("gumbel", "Gumbel", 1, [])),
    *({"pb_c_base": value} for value in (1e-6, 0.0, 1e12, 1e13)),
    *({"q_bounds": value} for value in ((0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (0.0,), [0.0, 1.0], (0, 1), (0.0, 1e10))),
    *({"rescale_values": value} for value in (False, 0, "true")),
    *({"root_exploration_fraction": value} for value in (0.0, 1.0, -0.1, 1.1)),
    {"max_num_considered_actions": 0},
    {"unknown": 1},
]


def is_taken(fields):
    try:
        return bool(SearchConfig(**fields))
    except (ValueError, TypeError):
        return False


def alone(code):
    """Runs code in a process that has no other package; returns what it printed."""
    done = subprocess.run([sys.executable, "-c", ALONE + code], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_example_runs_with_numpy_and_numba_alone():
    assert alone(example()).strip().endswith("[1 1 1 1]")


def test_settings_have_the_same_defaults_and_bounds_without_pydantic():
    code = f"from math import inf, nan\nfrom mzpipe.search import SearchConfig\n{inspect.getsource(is_taken)}\n"
    lines = alone(f"{code}print(SearchConfig())\nprint([is_taken(fields) for fields in {SETTINGS}])").splitlines()
    assert lines == [repr(SearchConfig()), repr([is_taken(fields) for fields in SETTINGS])]
    assert "True, False" in lines[1]


def test_settings_name_the_field_the_value_and_the_bound_without_pydantic():
    wrong = [{"num_simulations": 2001}, {"policy": "pucd"}, {"q_bounds": (1.0, 0.0)}, {"discount": "1"}]
    code = "from mzpipe.search import SearchConfig\n"
    for fields in wrong:
        code += f"try:\n    SearchConfig(**{fields})\nexcept ValueError as error:\n    print(error)\n"
    assert alone(code).splitlines() == [
        "SearchConfig: num_simulations=2001: it is more than 2,000",
        "SearchConfig: policy='pucd': it is none of 'puct', 'gumbel'",
        "SearchConfig: q_bounds=(1.0, 0.0): the first must be less than the second by 1e-06",
        "SearchConfig: discount='1': it is not of type float",
    ]
