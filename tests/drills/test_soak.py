"""The soak drill's judgement, on processes made up by hand."""

import os

import psutil
import pytest

from tests.drills.soak import Look, growth, look, report

_MIB = 2**20


def _looks(private_mib=lambda minute: 100.0, **counts):
    found = {"descriptors": lambda minute: 20, "threads": lambda minute: 4, "regions": lambda minute: 300, **counts}
    return [
        Look(60.0 * minute, int(private_mib(minute) * _MIB), *(count(minute) for count in found.values()))
        for minute in range(10, 60)
    ]


def test_growth_is_in_order_when_nothing_grows():
    assert growth(_looks()).broken() == []


def test_growth_fits_a_line_through_private_memory():
    grown = growth(_looks(lambda minute: 100.0 + 3.5 * minute))
    assert grown.mib_per_minute == pytest.approx(3.5, rel=1e-6)
    assert grown.broken() == ["memory"]


@pytest.mark.parametrize("name", ["descriptors", "threads", "regions"])
def test_growth_names_what_a_process_keeps_more_and_more_of(name):
    assert growth(_looks(**{name: lambda minute: 20 + minute})).broken() == [name]


def test_growth_leaves_out_what_comes_and_goes():
    saving = {
        "descriptors": lambda minute: 20 + 30 * (minute % 7 == 3),
        "threads": lambda minute: 4 + (minute % 5 == 0),
    }
    assert growth(_looks(**saving)).broken() == []


def test_look_sees_an_open_file_of_this_process():
    process = psutil.Process()
    before = look(process, 0.0)
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        after = look(process, 1.0)
    finally:
        os.close(descriptor)
    assert after.descriptors == before.descriptors + 1
    assert after.private_bytes > _MIB and after.threads >= 1 and after.regions > 10


def test_report_has_a_line_for_each_process():
    table = report({"actor-0": growth(_looks()), "learner-0": growth(_looks(lambda minute: 5.0 * minute))})
    assert table.row_count == 2
    assert list(table.columns[-1].cells) == ["ok", "BAD: memory"]
