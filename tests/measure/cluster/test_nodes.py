"""What `doctor --ray` says of a node."""

import pytest

from mzpipe.cluster.node import Facts
from mzpipe.errors import MzpipeError
from mzpipe.measure.cluster.nodes import Link, node_line

FACTS = {
    "host": "far",
    "version": "0.1.0",
    "code": "0.1.0-abc",
    "python": "3.11.7",
    "memory_bytes": 12 << 30,
    "shared_bytes": 3 << 30,
    "time_s": 0.0,
}
LINK = Link(round_trip_s=0.002, bytes_per_s=1e8, offset_s=0.0004)


def line(link=LINK, **changes):
    return node_line(Facts(**FACTS | changes), link, "8 cpus", "0.1.0-abc")


def test_line_of_a_node():
    assert line() == (
        "8 cpus; mzpipe 0.1.0, the same sources; Python 3.11.7; 12,288.0 MiB of memory, 3,072.0 MiB of /dev/shm free; "
        "clock +0.000 s, 2 ms there and back, at least 800 Mbit/s through Ray"
    )


@pytest.mark.parametrize(
    ("link", "changes", "message"),
    [
        (LINK, {"code": "0.2.0-fff"}, "has mzpipe 0.2.0-fff, this machine 0.1.0-abc: install the same on both"),
        (LINK, {"shared_bytes": 64 << 20}, r"has 64\.0 MiB free in /dev/shm: .* enlarge it"),
        (LINK._replace(offset_s=3_600.0), {}, "its clock is 3,600 s ahead of this machine's: set both by NTP"),
        (LINK._replace(offset_s=-7.5), {}, "its clock is 7.5 s behind this machine's"),
    ],
)
def test_node_on_which_a_pod_cannot_play_is_told_in_one_line(link, changes, message):
    with pytest.raises(MzpipeError, match=message) as caught:
        line(link, **changes)
    assert "\n" not in str(caught.value)
