"""Records, their JSON, and the table."""

import json

import pytest
from rich.console import Console

from mzpipe.bench.machine import Origin
from mzpipe.bench.report import Measured, make_records, table, write_json
from mzpipe.errors import InputOutputError

ORIGIN = Origin(host="a CPU, 2 cores", commit="1234567+changes")


def test_make_records_divides_the_value_by_the_reference(comparison):
    (record,) = make_records([comparison], ORIGIN)
    assert record.ratio == record.value / record.reference.value == 1.5


def test_write_json_writes_a_list_of_objects_with_exactly_the_agreed_keys(comparison, tmp_path):
    write_json(tmp_path / "bench.json", make_records([comparison], ORIGIN))
    assert json.loads((tmp_path / "bench.json").read_text()) == [
        {
            "case": "search/puct/2x3/flat",
            "value": 3000.0,
            "unit": "simulations/s",
            "reference": {"name": "them", "value": 2000.0},
            "ratio": 1.5,
            "host": "a CPU, 2 cores",
            "commit": "1234567+changes",
        }
    ]


def test_write_json_writes_an_empty_list_when_nothing_was_compared(tmp_path):
    write_json(tmp_path / "bench.json", [])
    assert json.loads((tmp_path / "bench.json").read_text()) == []


def test_write_json_refuses_when_the_file_cannot_be_written(tmp_path):
    with pytest.raises(InputOutputError, match=r"--json .*: cannot be written: Is a directory"):
        write_json(tmp_path, [])


@pytest.mark.parametrize("width", [80, 160])
def test_table_shows_every_number_whole_whatever_the_width(comparison, width):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table([comparison]))
    shown = capture.get()
    assert [text for text in ("3,000 (4%)", "2,000 (20%)", "1.50", "them") if text not in shown] == []
    assert "…" not in shown


def test_table_shows_three_digits_of_a_small_number(comparison):
    slow = comparison._replace(ours=Measured("us", 0.17234, 0.04), reference=Measured("them", 99.96, 0.0))
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table([slow]))
    assert "0.172 (4%)" in capture.get()
    assert "100 (0%)" in capture.get()
