"""The page's addresses: what they play, what they refuse, and whom."""

import re

import pytest

from mzpipe.errors import SearchInputError
from mzpipe.trained.play.web.app import Games, make_app
from tests.trained.play.agents import RankedAgent, new_match

ABOUT = "tic_tac_toe against first, step_00000030, 25 simulations per move"


class Pages:
    """A client of the app, at its newest game."""

    def __init__(self, name="tic_tac_toe", person=0, answers=()):
        self.games = Games(lambda seat: new_match(name, seat, answers))
        self.name = self.games.open(person)
        self.client = make_app(self.games, ABOUT).test_client()

    @property
    def match(self):
        return self.games.find(self.name)

    def get(self, query="", **headers):
        return self.client.get(f"/games/{self.name}{query}", headers=headers)

    def move(self, action, ply=None, **headers):
        form = {"action": action, "ply": len(self.match.played) if ply is None else ply}
        return self.client.post(f"/games/{self.name}/moves", data=form, headers=headers)

    def names(self, text):
        """The names of what can be clicked on the board."""
        return re.findall(r'<(?:button|a) class="target[^>]*aria-label="([^"]*)"', text)


@pytest.fixture
def pages():
    return Pages()


def test_first_page_leads_to_the_newest_game(pages):
    answer = pages.client.get("/")
    assert (answer.status_code, answer.location) == (303, f"/games/{pages.name}")


def test_move_is_played_and_answered_and_shown(pages):
    answer = pages.move(4)
    assert (answer.status_code, answer.location) == (303, f"/games/{pages.name}")
    assert pages.match.history == [4, 0]
    page = pages.get().text
    assert page.count('class="cross"') == 1
    assert page.count('class="ring"') == 1
    assert "+0.25" in page
    assert ABOUT in page
    assert len(pages.names(page)) == 7


@pytest.mark.parametrize("action", ["4", "9", "-1", "", "four", "4.0", "99999999999999999999"])
def test_illegal_action_is_refused_with_a_message_and_plays_nothing(pages, action):
    pages.move(4)
    answer = pages.move(action)
    assert answer.status_code == 400
    assert "is not legal here" in answer.text
    assert pages.match.history == [4, 0]


def test_form_of_a_page_that_is_no_longer_shown_plays_nothing(pages):
    pages.move(4)
    answer = pages.move(8, ply=0)
    assert answer.status_code == 400
    assert "the game has changed" in answer.text
    assert pages.match.history == [4, 0]


def test_taking_back_undoes_a_move_and_is_refused_where_there_is_none(pages):
    pages.move(4)
    assert pages.client.post(f"/games/{pages.name}/back").status_code == 303
    assert pages.match.history == []
    answer = pages.client.post(f"/games/{pages.name}/back")
    assert answer.status_code == 400
    assert "no move of yours to take back" in answer.text


def test_agent_that_fails_is_said_in_one_line_and_the_move_is_taken_back(pages, monkeypatch):
    def fail(agent, history):
        raise SearchInputError("policy_logits_BA holds NaN")

    with monkeypatch.context() as broken:
        broken.setattr(RankedAgent, "consider", fail)
        answer = pages.move(4)
        assert answer.status_code == 400
        assert "policy_logits_BA holds NaN" in answer.text
        assert len(pages.names(answer.text)) == 9
        answer = pages.client.post("/games", data={"seat": "second"})
        assert (answer.status_code, answer.text) == (500, "policy_logits_BA holds NaN\n")
    assert pages.match.history == []
    assert pages.move(4).status_code == 303


def test_new_game_is_opened_at_the_seat_of_the_form_and_the_old_one_stays(pages):
    answer = pages.client.post("/games", data={"seat": "second"})
    assert pages.games.find(answer.location.removeprefix("/games/")).history == [0]
    assert pages.get().status_code == 200
    assert pages.client.post("/games", data={"seat": "third"}).status_code == 400


def test_only_the_newest_hundred_games_are_kept():
    games = Games(lambda seat: new_match("tic_tac_toe", seat))
    names = [games.open(0) for _ in range(101)]
    assert [games.find(name) is None for name in names] == [True] + [False] * 100
    assert games.newest() == names[-1]


def test_unknown_game_is_not_found(pages):
    assert pages.client.get("/games/nobody").status_code == 404
    assert pages.client.post("/games/nobody/moves", data={"action": 0, "ply": 0}).status_code == 404


def test_page_of_a_game_that_is_over_says_who_won_and_has_nothing_to_click(pages):
    for action in (4, 2, 6):
        pages.move(action)
    page = pages.get().text
    assert "The game is over: you win as x" in page
    assert pages.names(page) == []
    assert pages.move(8).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost"])
def test_hosts_of_this_machine_are_answered(pages, host):
    assert pages.get(Host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "192.168.0.7", "0.0.0.0"]
)
def test_other_hosts_are_refused_whatever_they_ask(pages, host):
    assert pages.get(Host=host).status_code == 400
    assert pages.client.get("/", headers={"Host": host}).status_code == 400
    assert pages.move(4, Host=host).status_code == 400
    assert pages.match.history == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "https://localhost"])
def test_forms_of_other_sites_are_refused(pages, origin):
    assert pages.move(4, Origin=origin).status_code == 403
    assert pages.match.history == []
    assert pages.move(4, Origin="http://localhost").status_code == 303


def test_no_other_site_may_read_or_frame_the_page(pages):
    headers = pages.get(Origin="http://localhost").headers
    assert not [name for name in headers.keys() if name.lower().startswith("access-control")]  # noqa: SIM118
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "script" not in headers["Content-Security-Policy"]


def test_large_form_is_refused(pages):
    assert pages.move("4" * 10_000).status_code == 413


def test_chess_piece_is_chosen_before_its_squares():
    pages = Pages("chess")
    assert len(pages.names(pages.get().text)) == 10  # eight pawns and two knights
    assert sorted(pages.names(pages.get("?from=6-4").text)) == ["e3", "e4"]
    answer = pages.get("?from=4-4")
    assert answer.status_code == 400
    assert "no move from &#39;4-4&#39;" in answer.text


def test_promotion_is_asked_for_when_a_pawn_can_become_several_pieces():
    pages = Pages("chess")
    while not [move for move in pages.match.legal() if move.name.endswith("=Q")]:
        pages.match.play(next_pawn_move(pages.match.legal()).action)
    promotion = next(move for move in pages.match.legal() if move.name.endswith("=Q"))
    source, target = (f"{place.row}-{place.column}" for place in (promotion.source, promotion.target))
    assert f"choose {target}" in pages.names(pages.get(f"?from={source}").text)
    page = pages.get(f"?from={source}&to={target}").text
    assert "Which move?" in page
    assert [name[-1] for name in re.findall(r'<button name="action" value="\d+">([^<]*=[QRBN])', page)] == list("RBNQ")


def next_pawn_move(moves):
    """The pawn move that reaches furthest up the board; of equals a capture."""
    pawns = [move for move in moves if move.name[0] in "abcdefgh"]
    return min(pawns, key=lambda move: (move.target.row, "x" not in move.name))


def test_shogi_pieces_are_dropped_from_the_hand():
    pages = Pages("shogi", answers=("3c3d", "3a2b"))
    for word in ("7g7f", "8h2b+"):
        pages.match.play(next(move.action for move in pages.match.legal() if move.name == word))
    page = pages.get().text
    assert 'href="?from=B"' in page
    assert "B \u00d71" in page
    dropped = pages.names(pages.get("?from=B").text)
    assert "B*5e" in dropped
    assert all(name.startswith("B*") for name in dropped)
