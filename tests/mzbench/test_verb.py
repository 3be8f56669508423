"""`mzpipe bench`: arguments, table, files and refusals; the measuring itself is stubbed."""

import json
import subprocess
import sys

import pytest
from mzbench import command as bench
from mzbench.registry import CASES, GPU
from mzbench.report import CaseResult, Panel

from mzpipe.cli.main import main


@pytest.fixture
def measured(monkeypatch, comparison):
    """(name, quick) of every case that was measured; each answers with one row and one note."""
    calls = []

    def measure(name, *, quick, progress):
        calls.append((name, quick))
        progress(0, 1, "2x3/flat")
        return CaseResult([comparison], ["something is left out"], [Panel("t", "x", "y", {"us": [(1.0, 2.0)]})])

    monkeypatch.setattr(bench, "measure", measure)
    return calls


def test_bench_shows_a_table_and_what_was_left_out(measured, capsys):
    assert main(["bench", "search"]) == 0
    shown = capsys.readouterr().out
    assert "cores, commit " in shown.splitlines()[0]
    assert "search/puct/2x3/flat" in shown
    assert shown.splitlines()[-1] == "something is left out"
    assert measured == [("search", False)]


def test_bench_measures_every_case_when_none_is_named(measured):
    assert main(["bench", "--quick"]) == 0
    assert measured == [(name, True) for name in CASES]


def test_bench_writes_the_records(measured, tmp_path):
    assert main(["bench", "search", "--json", str(tmp_path / "bench.json")]) == 0
    (record,) = json.loads((tmp_path / "bench.json").read_text())
    assert set(record) == {"case", "value", "unit", "reference", "ratio", "host", "commit"}
    assert record["ratio"] == record["value"] / record["reference"]["value"]


@pytest.mark.slow
def test_bench_draws_the_case(measured, tmp_path):
    assert main(["bench", "search", "--plot", str(tmp_path / "bench.png")]) == 0
    assert (tmp_path / "bench.png").stat().st_size > 0


def test_bench_refuses_an_unknown_case_and_names_those_that_exist(measured, capsys):
    assert main(["bench", "serach"]) == 2
    assert capsys.readouterr().err == f"mzpipe bench: serach: no such case; there are: {', '.join([*CASES, GPU])}\n"
    assert measured == []


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_bench_refuses_a_file_without_a_directory_before_it_measures(measured, tmp_path, capsys, option):
    path = tmp_path / "nothing" / "file"
    assert main(["bench", "search", option, str(path)]) == 74
    assert capsys.readouterr().err == f"mzpipe bench: {option} {path}: no such directory: {path.parent}\n"
    assert measured == []


def test_bench_refuses_to_draw_without_matplotlib_before_it_measures(measured, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["bench", "search", "--plot", str(tmp_path / "bench.png")]) == 2
    assert "--plot needs matplotlib: pip install" in capsys.readouterr().err
    assert measured == []


def test_bench_refuses_to_draw_several_cases_into_one_file(measured, monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("mzbench.registry.CASES", {"search": "one", "ipc": "two"})
    assert main(["bench", "--plot", str(tmp_path / "bench.png")]) == 2
    assert capsys.readouterr().err == "mzpipe bench: --plot draws one case: name it (search, ipc)\n"
    assert measured == []


def test_bench_loads_no_case_until_it_is_used():
    code = (
        "import sys; from mzpipe.cli.main import main; main(['bench', 'nothing']); "
        "sys.exit(bool({'mzbench.search.search', 'numba', 'jax', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0


def test_bench_says_in_a_line_that_it_needs_a_clone_where_there_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mzpipe.cli.bench._BENCHMARKS", tmp_path / "benchmarks")
    assert main(["bench"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"mzpipe bench: there is no {tmp_path / 'benchmarks' / 'mzbench'}: ")
    assert said.count("\n") == 1
