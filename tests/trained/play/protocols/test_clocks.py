"""Time controls of controllers: the seconds that a move may take."""

import pytest

from mzpipe.errors import UsageError
from mzpipe.games.notation.position import FIRST, SECOND
from mzpipe.trained.play.protocols.clocks import GameClock, go_limit


@pytest.mark.parametrize(
    ("words", "seat", "protocol", "seconds"),
    [
        ("movetime 2000", FIRST, "uci", 1.97),
        ("movetime 20", FIRST, "uci", 0.01),  # half of it, rather than the margin
        ("", FIRST, "uci", None),
        ("depth 3", FIRST, "uci", None),
        ("infinite", FIRST, "uci", None),
        ("ponder wtime 1000 btime 1000", FIRST, "uci", None),
        ("wtime 60000 btime 30000", FIRST, "uci", 1.97),
        ("wtime 60000 btime 30000", SECOND, "uci", 0.97),
        ("btime 60000 wtime 30000", FIRST, "usi", 1.97),
        ("wtime 60000 btime 60000 winc 1000 binc 2000 movestogo 10", FIRST, "uci", 6.97),
        ("wtime 500 btime 500 winc 1000", FIRST, "uci", 0.47),  # no more than there is
        ("btime 0 wtime 0 byoyomi 5000", FIRST, "usi", 4.97),
        ("wtime -20 btime 100", FIRST, "uci", 0.01),
    ],
)
def test_go_limits_a_move(words, seat, protocol, seconds):
    assert go_limit(words.split(), seat, protocol) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("movetime 0", "go: movetime 0 must be more than 0"),
        ("movetime -5", "go: movetime -5 must be more than 0"),
        ("movetime", "go: movetime '' is no whole number"),
        ("wtime soon btime 5", "go: wtime 'soon' is no whole number"),
    ],
)
def test_go_refuses_what_is_no_time(words, text):
    with pytest.raises(UsageError, match=text):
        go_limit(words.split(), FIRST, "uci")


def test_a_clock_without_settings_has_no_limit():
    assert GameClock().limit(FIRST) is None


def test_main_time_is_shared_out_and_taken_off():
    clock = GameClock()
    clock.set(300.0, 0.0, 0)
    assert clock.limit(FIRST) == pytest.approx(9.97)
    clock.spend(FIRST, 150.0)
    assert (clock.limit(FIRST), clock.limit(SECOND)) == (pytest.approx(4.97), pytest.approx(9.97))
    clock.spend(FIRST, 500.0)
    assert clock.limit(FIRST) == 0.01
    clock.restart()
    assert clock.limit(FIRST) == pytest.approx(9.97)


def test_overtime_gives_every_move_the_same_share():
    clock = GameClock()
    clock.set(0.0, 50.0, 10)
    assert clock.limit(FIRST) == pytest.approx(4.97)


def test_overtime_without_stones_is_no_limit():
    clock = GameClock()
    clock.set(0.0, 50.0, 0)
    assert clock.limit(FIRST) is None


def test_time_left_replaces_what_the_clock_thought():
    clock = GameClock()
    clock.set(300.0, 50.0, 10)
    clock.tell(FIRST, 60.0, 0)
    assert clock.limit(FIRST) == pytest.approx(4.97)  # the period's share is more than that of the main time
    clock.tell(FIRST, 6.0, 3)
    assert clock.limit(FIRST) == pytest.approx(1.97)
