"""Records, their JSON, and the table."""

from dataclasses import asdict

import pytest
from mzbench.report import Measured, make_records, table
from rich.console import Console

from mzpipe.measure.machine import Origin

ORIGIN = Origin(host="a CPU, 2 cores", commit="1234567+changes")


def test_make_records_divides_the_value_by_the_reference(comparison):
    (record,) = make_records([comparison], ORIGIN)
    assert record.ratio == record.value / record.reference.value == 1.5


def test_a_record_has_exactly_the_agreed_keys(comparison):
    (record,) = make_records([comparison], ORIGIN)
    assert asdict(record) == {
        "case": "search/puct/2x3/flat",
        "value": 3000.0,
        "unit": "simulations/s",
        "reference": {"name": "them", "value": 2000.0},
        "ratio": 1.5,
        "host": "a CPU, 2 cores",
        "commit": "1234567+changes",
    }


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
