"""Output that cannot be written any more."""

import errno
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


class FullDisk(io.StringIO):
    """A file on a disk that is full."""

    is_full = True

    def write(self, text):
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


def test_stream_on_a_full_disk_is_reported_once_and_goes_on_when_there_is_room():
    said, file = io.StringIO(), FullDisk()
    lasting = LastingStream(file, LastingStream(said))
    lasting.write("lost\n")
    lasting.write("lost\n")
    file.is_full = False
    lasting.write("a line\n")
    lasting.end()
    assert (file.getvalue(), said.getvalue()) == ("a line\n", TOLD.format("No space left on device"))


def test_stream_writes_what_can_be_written():
    file = io.StringIO()
    assert LastingStream(file).write("a line\n") == 7
    assert file.getvalue() == "a line\n"


CODE = """
import sys
from mzpipe.runtime.output import lasting_output
with lasting_output():
    sys.stdin.readline()
    print("a line")
sys.exit(7)
"""


def test_process_with_lasting_output_ends_as_it_would_have_when_its_output_is_on_a_full_disk():
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-c", CODE]
        done = subprocess.run(words, input="\n", stdout=full, stderr=subprocess.PIPE, text=True, timeout=250)
    assert (done.returncode, done.stderr) == (7, TOLD.format("No space left on device"))


def test_process_with_lasting_output_ends_as_it_would_have_when_its_output_has_no_reader():
    words = [sys.executable, "-c", CODE]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    _, errors = process.communicate("\n", timeout=250)
    assert (process.returncode, errors) == (7, TOLD.format("Broken pipe"))
