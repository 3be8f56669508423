"""Round robin: which ones are asked, and in which order."""

from mzpipe.runtime.agent import Turns


def test_turns_ask_first_the_one_after_the_last_served():
    turns = Turns(3)
    assert turns.order() == [0, 1, 2]
    turns.served(1)
    assert turns.order() == [2, 0, 1]
    turns.served(2)
    assert turns.order() == [0, 1, 2]


def test_turns_are_empty_when_there_is_none_to_ask():
    assert Turns(0).order() == []
