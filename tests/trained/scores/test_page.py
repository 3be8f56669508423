"""The page of scores: one well-formed file that requests nothing and shows what the report holds."""

import re
from xml.etree import ElementTree

import pytest

from mzpipe.trained.scores import make_report
from mzpipe.trained.scores.page import FRAME, LEFT, RIGHT, make_cards, make_curves, render_page
from tests.measure.pages import with_class, words_of
from tests.trained.scores.samples import BUDGET, atari_runs, cartpole_runs, make_run

DATE = "2026-01-02 03:04 UTC"


def page_of(report):
    """(its text, its elements); fails where the text is not well-formed."""
    text = render_page(report, DATE)
    return text, ElementTree.fromstring(text)


@pytest.fixture(scope="module")
def report():
    return make_report([*atari_runs(2), *cartpole_runs(3)])


@pytest.fixture(scope="module")
def page(report):
    return page_of(report)


def rows_of(table):
    """The words of each row below the head, cell by cell."""
    return [[words_of(cell) for cell in row] for body in table.iter("tbody") for row in body.iter("tr")]


def test_page_refers_to_nothing_outside_itself(page):
    text, root = page
    assert "http://" not in text
    assert "https://" not in text
    assert {element.tag for element in root.iter()} & {"script", "img", "iframe", "object", "base", "a"} == set()
    assert [link.get("href") for link in root.iter("link")] == ["data:,"]


def test_page_says_what_was_put_together_and_what_to_beware_of(page):
    _, root = page
    (header,) = root.iter("header")
    for words in ("5 games", "Runs 11", "Protocol greedy", f"Env steps {BUDGET:,}", f"Date {DATE}"):
        assert words in words_of(header)
    assert [words_of(each) for each in with_class(root, "caution")] == [
        "intervals of 2 runs a game are narrower than they should be (docs/scores.md)"
    ]


def test_page_of_one_game_is_named_after_it():
    _, root = page_of(make_report(cartpole_runs(2)))
    assert [title.text for title in root.iter("h1")] == ["CartPole-v1"]
    assert "Human-normalised" not in words_of(root)
    assert "MuZero" not in words_of(next(root.iter("main")))


def test_games_stand_next_to_published_scores(page):
    _, root = page
    rows = {row[0]: row[1:] for row in rows_of(next(root.iter("table")))}
    assert list(rows) == ["Breakout", "CartPole-v1", "Freeway", "MsPacman", "Pong"]
    assert rows["Pong"][0] == "2"
    assert rows["Pong"][4:] == ["-6.7", "20.1", "16.7", "21"]
    assert rows["CartPole-v1"][3:] == ["-"] * 5
    assert re.fullmatch(r"\d+ \u00b1 [\d.]+", rows["CartPole-v1"][1])
    assert re.fullmatch(r"[\d.]+ to [\d.]+", rows["CartPole-v1"][2])


def test_every_run_has_a_row_and_a_line_that_its_legend_names(page, report):
    _, root = page
    rows = [row[0] for row in rows_of(list(root.iter("table"))[1])]
    names = [run.name for game in report.games for run in game.runs]
    assert [row for row in rows if row not in {game.game for game in report.games}] == names
    legends = [words_of(item) for legend in with_class(root, "legend") for item in legend]
    assert legends == names
    titles = [words_of(title) for title in root.iter("title")][1:]
    assert titles == names


def test_page_says_everything_that_it_draws_in_words_too(page):
    _, root = page
    drawn = [svg for svg in root.iter("svg") if svg.get("aria-hidden") is None]
    assert len(drawn) == 4 + 5
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in drawn)
    labels = [svg.get("aria-label") for svg in drawn]
    assert re.fullmatch(r"IQM: these runs [\d.]+", labels[0])
    assert re.fullmatch(r"mean: these runs [\d.]+, MuZero 0.721, EfficientZero 4.090, BBF 3.747", labels[3])


def test_page_escapes_what_runs_bring_in():
    evil = "</style><script>alert(1)</script>&\"'"
    text, root = page_of(make_report([make_run(evil, evil, protocol=evil)]))
    assert "<script" not in text
    assert [title.text for title in root.iter("h1")] == [evil]


def test_curves_are_within_their_frame_and_end_at_the_budget(report):
    for curves in make_curves(report):
        for line in curves.lines:
            points = [tuple(map(float, point.split())) for point in line.path[1:].split(" L")]
            assert len(points) == 10
            assert all(FRAME.left <= x <= FRAME.right and FRAME.top <= y <= FRAME.base for x, y in points)
            assert [x for x, _ in points] == sorted(x for x, _ in points)
            assert points[-1] == pytest.approx((line.end_x, line.end_y), abs=0.1)
            assert line.end_x == pytest.approx(FRAME.right)


def test_higher_returns_are_drawn_higher():
    low, high = make_curves(make_report([make_run("low", return_mean=1.0), make_run("high", return_mean=2.0)]))[0].lines
    assert high.end_y < low.end_y


def test_no_two_of_eighteen_runs_are_drawn_alike():
    lines = make_curves(make_report(cartpole_runs(18)))[0].lines
    assert len({line.style for line in lines}) == 18


def test_cards_hold_their_values_and_intervals(report):
    cards = make_cards(report)
    assert [card.name for card in cards] == ["IQM", "optimality gap", "median", "mean"]
    for card in cards:
        ours, *theirs = card.rows
        assert LEFT <= ours.low_x <= ours.x <= ours.high_x <= RIGHT
        assert all(row.low_x is None and LEFT <= row.x <= RIGHT for row in theirs)
    assert [[row.name for row in card.rows] for card in cards[1:3]] == [
        ["these runs"],
        ["these runs", "MuZero", "EfficientZero", "BBF"],
    ]


def test_cards_of_single_runs_have_no_bar():
    _, root = page_of(make_report([make_run()]))
    assert with_class(root, "interval") == []
    assert len(with_class(root, "value")) == 4 + 2 * 3
