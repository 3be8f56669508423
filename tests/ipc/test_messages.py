"""Control messages: what encode writes comes back; everything else is a MessageError."""

import contextlib
import dataclasses

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzpipe.errors import MessageError
from mzpipe.ipc import messages
from mzpipe.ipc.messages import MAX_MESSAGE_BYTES, MAX_TEXT_BYTES, WIRE_VERSION, Note, Ready, decode, encode

EXAMPLES = {int: 3, str: "text", float: 0.5, bool: True}
KINDS = list(messages._CODEC._kinds.values())


def wire(body):
    return bytes([WIRE_VERSION]) + msgpack.packb(body)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_decode_gives_back_what_was_encoded(kind):
    message = kind(**{field.name: EXAMPLES[field.type] for field in dataclasses.fields(kind)})
    assert decode(encode(message)) == message


def test_encode_cuts_a_text_to_its_end():
    note = decode(encode(Note("x" * 100_000 + "end")))
    assert len(note.text) == MAX_TEXT_BYTES
    assert note.text.endswith("end")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "version missing"),
        (b"\x07rest", "message version 7, this program has 1"),
        (b"\x01" + b"x" * MAX_MESSAGE_BYTES, "message of 65537 bytes, at most 65536"),
        (b"\x01\xc1", "no valid MessagePack"),
        (wire([1, 2]), "MessagePack|unknown message kind"),
        (wire(7), "unknown message kind"),
        (wire({"kind": "Attack"}), "unknown message kind; known: Hello"),
        (wire({"kind": ["Note"]}), "MessagePack|unknown message kind"),
        (wire({"kind": "Note"}), r"Note: fields \[\], expected \['text'\]"),
        (wire({"kind": "Note", "text": "a", "more": 1}), r"expected \['text'\]"),
        (wire({"kind": "Note", "text": 5}), "Note.text: int, expected str"),
        (wire({"kind": "Ready", "seconds": 1}), "Ready.seconds: int, expected float"),
        (wire({"kind": "Note", "text": {"a": 1}}), "nested map"),
        (wire({"kind": "Note", 5: "a"}), "MessagePack"),
        (b"\x01\x83\xa4kind\xa4Note\xa4text\xa1a\xa4text\xa1b", "duplicate key"),
        (wire({"kind": "Note", "text": msgpack.ExtType(4, b"x")}), "MessagePack|extension type"),
        (encode(Ready(1.0)) + b"more", "MessagePack"),
    ],
)
def test_decode_refuses(data, text):
    with pytest.raises(MessageError, match=text):
        decode(data)


@given(st.binary(max_size=200))
def test_decode_raises_nothing_but_message_errors_whatever_comes(data):
    for wrapped in (data, bytes([WIRE_VERSION]) + data):
        with contextlib.suppress(MessageError):
            decode(wrapped)


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.sampled_from(["kind", "text", "seconds", "epoch"]) | st.text(), values))
def test_decode_raises_nothing_but_message_errors_whatever_map_comes(body):
    with contextlib.suppress(MessageError):
        decode(wire(body))
