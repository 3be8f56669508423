"""Output that cannot be written any more."""

import io
import os
import subprocess
import sys

from mzpipe.runtime.output import LastingStream

TOLD = "mzpipe: output cannot be written ({}): continuing without it\n"


def test_stream_of_a_pipe_without_a_reader_is_dropped_and_reported_once():
    reading, writing = os.pipe()
    os.close(reading)
    said = io.StringIO()
    with open(writing, "w") as pipe:  # closing it flushes once more
        lasting = LastingStream(pipe, LastingStream(said))
        for _ in range(3):
            lasting.write("a line\n")
            lasting.flush()
    assert said.getvalue() == TOLD.format("Broken pipe")


def test_stream_of_a_terminal_that_is_gone_is_dropped():
    master, terminal = os.openpty()
    with open(terminal, "w") as screen:
        lasting = LastingStream(screen)
        assert lasting.isatty()
        os.close(master)
        lasting.write("a line\n")
        lasting.flush()
        assert not lasting.isatty()


def test_stream_writes_what_can_be_written():
    file = io.StringIO()
    assert LastingStream(file).write("a line\n") == 7
    assert file.getvalue() == "a line\n"


def test_process_with_lasting_output_ends_as_it_would_have_when_its_output_has_no_reader():
    code = """
import sys
from mzpipe.runtime.output import lasting_output
with lasting_output():
    sys.stdin.readline()
    print("a line")
sys.exit(7)
"""
    words = [sys.executable, "-c", code]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    _, errors = process.communicate("\n", timeout=250)
    assert (process.returncode, errors) == (7, TOLD.format("Broken pipe"))
