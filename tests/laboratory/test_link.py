"""When packets come out of a link, by hand."""

import random

import pytest

from tests.laboratory.link import Link


def test_packet_takes_the_time_of_its_bits_and_the_delay():
    link = Link(delay_ms=20.0, mbit=8.0)
    assert link.carry(1.0, 1000) == pytest.approx(1.021)  # 8,000 bits of 8 a microsecond: 1 ms
    assert link.carry(1.0, 500) == pytest.approx(1.0215)  # it waits for the first


def test_plain_link_has_no_delay():
    assert Link().carry(3.0, 1500) == 3.0


def test_packets_beyond_the_queue_are_lost_until_it_has_emptied():
    link = Link(mbit=8.0, queue_ms=2.0)
    outs = [link.carry(0.0, 1000) for _ in range(5)]
    assert outs == [pytest.approx(0.001), pytest.approx(0.002), pytest.approx(0.003), None, None]
    assert link.carry(0.003, 1000) == pytest.approx(0.004)


def test_loss_is_the_part_asked_for():
    link = Link(loss=0.1, draws=random.Random(7))
    lost = sum(link.carry(0.0, 100) is None for _ in range(10_000))
    assert 900 < lost < 1_100


def test_cut_link_carries_nothing():
    assert Link(is_cut=True).carry(0.0, 1) is None


def test_packets_keep_their_order_when_the_delay_falls():
    link = Link(delay_ms=50.0)
    first = link.carry(0.0, 100)
    link.delay_ms = 1.0
    assert link.carry(0.01, 100) == first
