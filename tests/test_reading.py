"""Files that may be a stranger's: plain ones up to a bound, and one line at once for anything else."""

import json
import os
import socket
import threading
import tracemalloc
from pathlib import Path

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.reading import open_plain, read_file, read_json

LIMIT = 100


def make_pipe(path):
    os.mkfifo(path)


def make_huge(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


ODD = {
    "missing": (lambda path: None, "cannot be read: No such file or directory"),
    "a directory": (lambda path: path.mkdir(), "a directory, where a file should be"),
    "a pipe without a writer": (make_pipe, "a pipe, where a file should be"),
    "a socket": (make_socket, "cannot be read: "),
    "a link to a device without an end": (
        lambda path: path.symlink_to("/dev/zero"),
        "a device, where a file should be",
    ),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file or directory"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
    "a sparse file of 1 TiB": (make_huge, "1099511627776 bytes, at most "),
    "one byte too many": (lambda path: path.write_bytes(bytes(LIMIT + 1)), "101 bytes, at most 100"),
}


@pytest.mark.parametrize(("make", "fault"), ODD.values(), ids=ODD)
def test_read_file_refuses_at_once_what_is_no_small_plain_file(tmp_path, make, fault):
    path = tmp_path / "file"
    make(path)
    with pytest.raises(InputOutputError, match=f"^{path}: {fault}"):
        read_file(path, LIMIT)


def test_read_file_refuses_more_than_the_memory_that_is_free(tmp_path):
    make_huge(tmp_path / "file")
    with pytest.raises(InputOutputError, match=r"1099511627776 bytes, at most \d{6,14}$"):
        read_file(tmp_path / "file", 1 << 60)


def test_read_file_asks_for_no_more_memory_than_the_file_has(tmp_path):
    (tmp_path / "file").write_bytes(bytes(1000))
    tracemalloc.start()
    try:
        assert read_file(tmp_path / "file", 1 << 34) == bytes(1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 21


def test_read_file_gives_all_of_what_has_no_size(tmp_path):
    reading, writing = os.pipe()
    with open(reading, "rb") as _, open(writing, "wb") as file:
        writer = threading.Thread(target=lambda: (file.write(bytes(3 << 20)), file.close()))
        writer.start()
        assert read_file(Path(f"/dev/fd/{reading}"), 1 << 34) == bytes(3 << 20)
        writer.join()


def test_read_file_and_open_plain_give_a_plain_files_bytes_through_a_link(tmp_path):
    (tmp_path / "file").write_bytes(bytes(LIMIT))
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", LIMIT) == bytes(LIMIT)
    with open_plain(tmp_path / "link") as file:
        assert file.read() == bytes(LIMIT)


@pytest.mark.parametrize(("nbytes", "is_read"), [(LIMIT, True), (LIMIT + 1, False)])
def test_read_file_reads_what_the_shell_names_up_to_the_bound(tmp_path, nbytes, is_read):
    reader, writer = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writer, bytes(nbytes)), os.close(writer)))
    thread.start()
    path = type(tmp_path)(f"/dev/fd/{reader}")
    try:
        if is_read:
            assert read_file(path, LIMIT) == bytes(LIMIT)
        else:
            with pytest.raises(InputOutputError, match=f"{path}: 101 bytes, at most 100"):
                read_file(path, LIMIT)
    finally:
        thread.join()
        os.close(reader)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000, '"\ud800', "\x00"])
def test_read_json_names_a_file_that_is_not_json(tmp_path, text):
    path = tmp_path / "file"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(InputOutputError, match=f"^{path}: not JSON: ") as caught:
        read_json(path, 1 << 20)
    assert "\n" not in str(caught.value)
    path.write_text(json.dumps({"a": 1}))
    assert read_json(path, LIMIT) == {"a": 1}
