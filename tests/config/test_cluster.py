"""[cluster]: addresses, and choices that need pods."""

import pytest

from mzpipe.config.cluster import split_address
from mzpipe.config.load import parse_profile
from mzpipe.errors import ConfigError

STOP = "[stop]\nminutes = 1.0\n"


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("head.lan:7000", ("head.lan", 7000)),
        ("[fe80::1]:65535", ("[fe80::1]", 65535)),
    ],
)
def test_an_address_has_a_host_and_a_port(address, parts):
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "address", ["", "host", "host:", ":1", "host:65536", "tcp://host:1", "ho st:1", "*:1", "h:1\n"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="is no address: host:port"):
        split_address(address)


def test_pods_are_none_unless_the_profile_says_so():
    assert parse_profile(STOP).cluster.pods == 0


@pytest.mark.parametrize(
    "choice",
    [
        "actors = 2",
        "reanalyzers = 0",
        'listen = "0.0.0.0:7000"',
        'devices = ["cpu"]',
        "link_mbit = 100.0",
        "cpus = 2.0",
        "gpus = 0.5",
        "memory_bytes = 1000",
    ],
)
def test_choices_about_pods_need_pods(choice):
    with pytest.raises(ConfigError, match=r"cluster\.\w+=.*: cluster\.pods=0"):
        parse_profile(f"{STOP}[cluster]\n{choice}\n")
    assert parse_profile(f"{STOP}[cluster]\npods = 1\n{choice}\n").cluster.pods == 1


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("pods = -1", "greater than or equal to 0"),
        ("pods = 257", "less than or equal to 256"),
        ('pods = 1\nlisten = "here"', "is no address"),
        ("pods = 1\ndevices = []", "cluster.devices=.*at least one device"),
        ('pods = 1\ndevices = ["tpu"]', "cluster.devices: 'tpu'"),
    ],
)
def test_bad_choices_are_refused(choice, message):
    with pytest.raises(ConfigError, match=message):
        parse_profile(f"{STOP}[cluster]\n{choice}\n")
