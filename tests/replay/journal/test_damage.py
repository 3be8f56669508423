"""Files that were cut, flipped, lost or swapped: always noticed, and never wrong data."""

import json
import shutil

import numpy as np
import pytest

from mzpipe.errors import InputOutputError
from mzpipe.replay.journal import JournalLayout, has_journal, read_journal
from mzpipe.replay.journal import format as journal_format
from mzpipe.replay.journal import scan as journal_scan
from mzpipe.replay.journal.format import FILE_HEADER_BYTES, RECORD_HEADER_BYTES, parse_record_header, seal
from mzpipe.replay.journal.manifest import Manifest, decode_manifest, encode_manifest

from .samples import (
    LAYOUT,
    append,
    begin,
    closed_journal,
    encoded,
    killed_journal,
    segment_paths,
    serials_in,
)

FLIPS = 60


@pytest.fixture
def killed(tmp_path):
    return killed_journal(tmp_path / "journal")


@pytest.fixture
def closed(tmp_path):
    return closed_journal(tmp_path / "journal")


def offsets_of_records(path):
    """Where the records of a segment begin, and the file's end."""
    data, offsets = path.read_bytes(), [FILE_HEADER_BYTES]
    with open(path, "rb") as file:
        for record in journal_scan.records(file, LAYOUT, int(path.name[8:16]), len(data)):
            offsets.append(offsets[-1] + len(encoded(record.serial).buffer))
    assert offsets[-1] == len(data)
    return offsets


def flip(path, offset, bit):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def test_link_that_leads_to_no_journal_is_refused(tmp_path):
    (tmp_path / "journal").symlink_to("nowhere")
    with pytest.raises(InputOutputError, match="journal: leads to no directory: remove it"):
        has_journal(tmp_path / "journal")


def test_open_segment_longer_than_any_is_refused_before_it_is_searched(killed):
    path = segment_paths(killed)[-1]
    with path.open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputOutputError, match=f"^{path}: 1099511627776 bytes, at most 2147483648: restore it"):
        read_journal(killed, LAYOUT)


@pytest.mark.slow
def test_last_segment_cut_anywhere_in_its_last_record_loses_that_record_and_says_so(killed):
    path = segment_paths(killed)[-1]
    data, offsets = path.read_bytes(), offsets_of_records(path)
    for end in range(offsets[-2] + 1, offsets[-1]):
        path.write_bytes(data[:end])
        contents = read_journal(killed, LAYOUT)
        assert serials_in(contents) == list(range(1, 40))
        (note,) = contents.notes
        assert f"{path}, offset {offsets[-2]}:" in note and f"the last {end - offsets[-2]} bytes are cut" in note
        assert path.stat().st_size == end  # reading changes nothing


def test_last_segment_cut_in_its_file_header_holds_nothing(killed):
    path, first = segment_paths(killed)[-1], serials_in(read_journal(killed))[0]
    data = path.read_bytes()
    for end in range(FILE_HEADER_BYTES):
        path.write_bytes(data[:end])
        contents = read_journal(killed)
        assert serials_in(contents)[0] == first and "the file header is cut off" in contents.notes[0]


def test_cut_tail_is_cut_physically_by_repair_and_the_journal_continues(killed):
    path = segment_paths(killed)[-1]
    path.write_bytes(path.read_bytes()[:-3])
    contents = read_journal(killed)
    contents.repair()
    assert path.stat().st_size == contents.segments[-1].bytes
    journal = begin(killed, former=contents)
    append(journal, 40, 41)
    journal.close(60.0)
    again = read_journal(killed)
    assert serials_in(again) == list(range(1, 42)) and again.notes == []


def test_unsynced_hole_of_a_power_failure_is_cut_with_what_follows_it(tmp_path, killed):
    path = segment_paths(killed)[-1]
    last_whole = path.stat().st_size
    tail = bytearray()
    for serial in (41, 42, 43):
        record = encoded(serial).buffer
        seal(record, last_whole)  # the bytes that were safe when it was written
        tail += bytes(len(record)) if serial == 41 else record
    path.write_bytes(path.read_bytes() + tail)
    contents = read_journal(killed)
    assert serials_in(contents) == list(range(1, 41))
    assert f"offset {last_whole}" in contents.notes[0] and "2 records in them were not yet known" in contents.notes[0]
    seal(record, last_whole + 1)  # now the last record says that the hole was safe
    path.write_bytes(path.read_bytes()[: -len(record)] + record)
    with pytest.raises(InputOutputError, match="2 records follow it: the file is damaged"):
        read_journal(killed)


@pytest.mark.slow
def test_bit_flip_anywhere_is_noticed_and_never_becomes_data(tmp_path, closed):
    rng, working = np.random.default_rng(0), tmp_path / "flipped"
    for path in sorted(closed.iterdir()):
        size = path.stat().st_size
        for offset in sorted(rng.choice(size, min(size, FLIPS), replace=False)):
            shutil.copytree(closed, working)
            flip(working / path.name, offset, rng.integers(8))
            if path.name == "state.mzs":
                contents = read_journal(working)
                assert contents.state is None and "state.mzs: damaged" in contents.notes[0]
            else:
                with pytest.raises(InputOutputError, match=f"{path.name}.*move the whole directory away"):
                    serials_in(read_journal(working))
            shutil.rmtree(working)


@pytest.mark.slow
def test_bit_flip_in_the_open_segment_is_an_error_or_a_cut_that_is_noted(killed):
    path, rng = segment_paths(killed)[-1], np.random.default_rng(1)
    data, offsets = path.read_bytes(), offsets_of_records(path)
    # No later record proves that the records of the last sync are safe.
    proven = parse_record_header(data[offsets[-2] :][:RECORD_HEADER_BYTES]).synced_bytes
    first_unproven = 40 - sum(offset >= proven for offset in offsets[:-1])
    for offset in rng.choice(len(data), 300, replace=False):
        path.write_bytes(data)
        flip(path, offset, rng.integers(8))
        if offset < proven:
            with pytest.raises(InputOutputError, match=f"{path.name}, offset .*the file is damaged"):
                read_journal(killed)
        else:
            contents = read_journal(killed)
            serials = serials_in(contents)
            assert serials == list(range(1, serials[-1] + 1)) and first_unproven <= serials[-1] < 40
            assert "bytes are cut" in contents.notes[0]


def test_bit_flips_pass_without_the_checksum(killed, monkeypatch):
    """Negative control of the two tests above."""
    path = segment_paths(killed)[-1]
    flip(path, offsets_of_records(path)[-2] + RECORD_HEADER_BYTES + 60, 3)
    decode = journal_format.decode_payload
    monkeypatch.setattr(
        journal_scan,
        "decode_payload",
        lambda layout, header, payload, version: decode(
            layout, header._replace(payload_crc=journal_format.crc32c(payload)), payload, version
        ),
    )
    contents = read_journal(killed)
    with pytest.raises(AssertionError):
        serials_in(contents)


def test_truncation_of_a_closed_segment_at_a_records_end_is_noticed(closed):
    for path in segment_paths(closed):
        data, offsets = path.read_bytes(), offsets_of_records(path)
        path.write_bytes(data[: offsets[-2]])
        with pytest.raises(InputOutputError, match=f"{path.name}, offset {offsets[-2]}: has {offsets[-2]} bytes"):
            read_journal(closed)
        path.write_bytes(data)


def test_bytes_after_a_closed_segment_are_noticed(closed):
    path = segment_paths(closed)[1]
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputOutputError, match=r"bytes, manifest\.json says"):
        read_journal(closed)


def test_segment_in_anothers_place_is_noticed(closed):
    first, second = segment_paths(closed)[:2]
    shutil.copy(second, first)
    with pytest.raises(InputOutputError, match=first.name):
        serials_in(read_journal(closed))


def test_huge_length_is_refused_before_it_is_allocated(killed):
    path = segment_paths(killed)[-1]
    for length in (1 << 24, 1 << 40, (1 << 63) - 1):
        record = encoded(41).buffer
        journal_format._RECORD.pack_into(record, 0, journal_format.RECORD_MAGIC, 1, 41, length, 0, 0, 0)
        seal(record, 0)
        data = path.read_bytes()
        path.write_bytes(data + record)
        contents = read_journal(killed)
        assert serials_in(contents)[-1] == 40
        assert f"{length} transitions" in contents.notes[0]
        path.write_bytes(data)


def test_wrong_layout_names_the_fields_that_differ(closed):
    with pytest.raises(InputOutputError, match=r"frame_dtype float32, not uint8, num_actions 3, not 4: restore the"):
        read_journal(closed, JournalLayout((2,), "uint8", 4))


def test_missing_manifest_is_an_error(closed):
    (closed / "manifest.json").unlink()
    with pytest.raises(InputOutputError, match=r"manifest\.json: missing: restore it from a copy, or move the whole"):
        read_journal(closed)


@pytest.mark.parametrize("place", [0, 1, -1])
def test_missing_segment_is_an_error(closed, place):
    path = segment_paths(closed)[place]
    path.unlink()
    with pytest.raises(InputOutputError, match=f"{path.name}: missing, though manifest.json names it"):
        read_journal(closed)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"format": 1}', b"[" * 100_000, b'{"format": 1, "layout": 3, "segments": []}']
)
def test_damaged_manifest_is_an_error(closed, text):
    (closed / "manifest.json").write_bytes(text)
    with pytest.raises(InputOutputError, match=r"manifest\.json: .*damaged|manifest\.json: not a layout"):
        read_journal(closed)


def test_layout_from_a_manifest_is_bounded():
    for shape, dtype, actions in (((1 << 40,), "uint8", 3), ((1 << 19, 1 << 19), "uint8", 3), ((2,), "object", 3)):
        manifest = encode_manifest(Manifest(JournalLayout(shape, dtype, actions), ()))
        with pytest.raises(InputOutputError, match="not a layout of records"):
            decode_manifest(manifest)


def test_unnamed_segments_are_removed_when_they_are_old_or_empty_and_refused_otherwise(closed):
    first, last = segment_paths(closed)[0], segment_paths(closed)[-1]
    manifest = decode_manifest((closed / "manifest.json").read_bytes())
    (closed / "manifest.json").write_bytes(encode_manifest(manifest._replace(segments=manifest.segments[1:])))
    begun = last.with_name(f"segment-{int(last.name[8:16]) + 1:08d}.mzj")
    begun.write_bytes(b"half a header")
    (closed / ".manifest.json.1.new").write_bytes(b"a draft")
    contents = read_journal(closed)
    assert [note.partition(": ")[0] for note in contents.notes] == [str(first), str(begun)]
    assert serials_in(contents)[-1] == 40
    contents.repair()
    assert not first.exists() and not begun.exists() and not list(closed.glob(".*"))
    (closed / "manifest.json").write_bytes(encode_manifest(manifest._replace(segments=manifest.segments[1:-1])))
    with pytest.raises(InputOutputError, match=f"{last.name}: holds records, but manifest.json does not name it"):
        read_journal(closed)


def test_journal_names_itself_in_the_manifest_as_strict_json(closed):
    plain = json.loads((closed / "manifest.json").read_bytes())
    assert plain["layout"] == {"frame_shape": [2], "frame_dtype": "float32", "num_actions": 3}
