"""The example of docs/search.md runs as printed, is short, and plans."""

import re
import runpy
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "search.md"


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return code


@pytest.fixture
def run_example(tmp_path, capsys):
    """Runs a program as a script of its own and returns its names; what it prints is not shown."""

    def run(code: str) -> dict:
        (tmp_path / "example.py").write_text(code)
        return runpy.run_path(str(tmp_path / "example.py"))

    return run


def test_example_has_fewer_than_30_lines_of_code():
    assert len([line for line in example().splitlines() if line.strip()]) < 30


def test_example_plans_the_way_to_the_goal_from_every_place(run_example, capsys):
    names = run_example(example())
    assert capsys.readouterr().out
    assert names["search"].best_action().tolist() == [1, 1, 1, 1]
    assert list(names["result"].root_value_B) == sorted(names["result"].root_value_B)


@pytest.mark.parametrize("fields", ['policy="gumbel"', 'q_normalization="siblings"'])
def test_example_plans_as_well_with_the_other_rules(run_example, fields):
    names = run_example(example().replace("discount=0.9", f"discount=0.9, {fields}"))
    assert names["search"].best_action().tolist() == [1, 1, 1, 1]
