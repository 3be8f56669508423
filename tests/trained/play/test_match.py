"""A match: who moves, what is refused, what is taken back, who wins."""

import pytest

from mzpipe.errors import UsageError
from mzpipe.games.notation.position import FIRST, SECOND
from mzpipe.trained.play.match import Match
from tests.trained.play.agents import RankedAgent, board_config, new_match

# Against an agent that takes the first free square: 0, 1, 2...
WON = (4, 2, 6)


def test_agent_answers_each_move_and_begins_when_the_person_is_second():
    match = new_match("tic_tac_toe", FIRST)
    assert match.history == []
    match.play(4)
    assert match.history == [4, 0]
    match = new_match("tic_tac_toe", SECOND)
    assert match.history == [0]
    match.play(4)
    assert match.history == [0, 4, 1]


def test_agent_is_asked_with_the_whole_history():
    config = board_config("tic_tac_toe")
    agent = RankedAgent(config)
    match = Match(config, agent, FIRST)
    match.play(8)
    match.play(7)
    assert agent.histories == [[8], [8, 0, 7]]


def test_thought_has_the_visited_moves_by_name_the_most_visited_first():
    match = new_match("tic_tac_toe")
    assert match.thought is None
    match.play(0)
    assert match.thought.value == 0.25
    assert match.thought.chosen.name == "o(0,1)"
    assert [(each.move.name, each.visits, each.share, each.q) for each in match.thought.candidates] == [
        ("o(0,1)", 6, 0.6, 0.25),
        ("o(0,2)", 3, 0.3, -0.5),
        ("o(1,0)", 1, 0.1, 0.0),
    ]


@pytest.mark.parametrize("action", [0, 4, 9, -1])
def test_illegal_action_is_refused_and_changes_nothing(action):
    match = new_match("tic_tac_toe")
    match.play(4)
    with pytest.raises(UsageError, match=f"action {action} is not legal here"):
        match.play(action)
    assert match.history == [4, 0]


def test_game_ends_with_the_winner_and_takes_no_more_moves():
    match = new_match("tic_tac_toe")
    for action in WON:
        assert match.verdict() == ""
        match.play(action)
    assert match.is_over
    assert match.verdict() == "you win as x"
    assert match.legal() == []
    with pytest.raises(UsageError, match="the game is over"):
        match.play(8)


@pytest.mark.parametrize(
    ("person", "actions", "verdict"),
    [
        (FIRST, (0, 2, 5, 6), "the agent wins as o"),
        (FIRST, (1, 3, 4, 6, 8), "a draw"),
        (SECOND, (1, 3, 5), "the agent wins as x"),
        (SECOND, (1, 4, 6, 7), "you win as o"),
        (SECOND, (1, 3, 6, 8), "a draw"),
    ],
)
def test_verdict_says_who_won_from_either_seat(person, actions, verdict):
    match = new_match("tic_tac_toe", person)
    for action in actions:
        assert match.verdict() == ""
        match.play(action)
    assert match.verdict() == verdict


def test_game_that_reaches_the_move_limit_is_cut_short():
    config = board_config("tic_tac_toe", "game.max_episode_moves=2")
    match = Match(config, RankedAgent(config), FIRST)
    match.play(4)
    assert match.verdict() == "cut short after 2 moves: no winner"
    assert match.legal() == []


def test_take_back_undoes_the_move_and_its_answer():
    match = new_match("tic_tac_toe", SECOND)
    match.play(4)
    match.play(8)
    match.take_back()
    assert match.history == [0, 4, 1]
    assert match.thought is None
    match.play(8)
    assert match.history == [0, 4, 1, 8, 2]


@pytest.mark.parametrize("person", [FIRST, SECOND])
def test_nothing_is_taken_back_before_the_persons_first_move(person):
    match = new_match("tic_tac_toe", person)
    history = match.history
    with pytest.raises(UsageError, match="no move of yours"):
        match.take_back()
    assert match.history == history


def test_last_move_of_a_won_game_is_taken_back_without_an_answer():
    match = new_match("tic_tac_toe")
    for action in WON:
        match.play(action)
    match.take_back()
    assert match.history == [4, 0, 2, 1]
    assert not match.is_over
