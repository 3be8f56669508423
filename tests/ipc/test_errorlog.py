"""The error log: each distinct error once with a count, readable after a crash."""

import numpy as np
import pytest

from mzpipe.ipc.errorlog import PLACES_PER_PROCESS, ErrorLog, errorlog_layout
from tests.ipc.peer import open_arrays
from tests.ipc.processes import peer


@pytest.fixture
def words():
    layout = errorlog_layout(2)
    return layout.views(bytearray(layout.nbytes))["words"]


def test_errorlog_counts_repeats_of_a_distinct_error(words):
    log = ErrorLog(words, 0)
    for text in ("first", "second", "first", "first"):
        log.record_text(text)
    assert [(error.text, error.count) for error in log.read()] == [("first", 3), ("second", 1)]
    assert ErrorLog(words, 1).read() == []


def test_errorlog_keeps_the_traceback_of_an_exception(words):
    log = ErrorLog(words, 0)
    try:
        np.zeros(1)[5]
    except IndexError as error:
        log.record(error)
    assert log.read()[0].text.startswith("Traceback")
    assert "IndexError: index 5 is out of bounds" in log.read()[0].text


def test_errorlog_keeps_the_end_of_a_long_text_and_the_first_errors_when_full(words):
    log = ErrorLog(words, 0)
    log.record_text("x" * 10_000 + "end")
    assert log.read()[0].text.endswith("xend")
    for number in range(20):
        log.record_text(f"error {number}")
    texts = [error.text for error in log.read()]
    assert len(texts) == PLACES_PER_PROCESS
    assert texts[1] == "error 0"
    assert log.read()[-1].count > 1


@pytest.mark.slow
def test_errorlog_is_readable_after_its_writer_was_killed(shm_path):
    words = open_arrays(shm_path, "errors", errorlog_layout(2), create=True)["words"]
    with peer("log_error", shm_path) as process:
        assert process.wait(120) == -9
    assert [(error.text, error.count) for error in ErrorLog(words, 1).read()] == [("the last words", 1)]
