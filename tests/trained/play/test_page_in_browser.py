"""The page in a browser: whole games by clicking, without a script, in the colours and widths asked for."""

import io
import threading

import numpy as np
import pytest
from PIL import Image
from werkzeug.serving import make_server

from mzpipe.games.notation.styles import STYLES
from mzpipe.trained.play.web.app import Games, make_app
from tests.trained.play.agents import new_match

pytestmark = pytest.mark.slow

WIDE, PHONE = 1180, 390


@pytest.fixture
def open_page(browser):
    """Opens the newest game at its listener, on a port of its own."""
    servers, opened = [], []

    def open_game(name, width=WIDE, scheme="light", answers=()):
        games = Games(lambda seat: new_match(name, seat, answers))
        games.open(0)
        server = make_server("127.0.0.1", 0, make_app(games, f"{name} against first"), threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        page = browser.new_page(viewport={"width": width, "height": 860}, color_scheme=scheme)
        page.logged = []
        page.on("console", lambda message: page.logged.append(message.text))
        page.on("pageerror", lambda error: page.logged.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}/")
        opened.append(page)
        return page

    yield open_game
    for page in opened:
        page.close()
    for server, thread in servers:
        server.shutdown()
        thread.join(10.0)
        server.server_close()


def follow(page, target):
    """Clicks, and waits for the page that comes."""
    with page.expect_navigation():
        target.click()


def click(page, *names):
    """Clicks these on the board, one after the other."""
    for name in names:
        follow(page, page.get_by_label(name, exact=True).first)


def test_whole_game_of_tic_tac_toe_is_played_by_clicking(open_page):
    page = open_page("tic_tac_toe")
    assert page.get_by_role("heading", name="Your move as x").is_visible()
    click(page, "x(1,1)")
    assert page.locator(".cross").count() == 1
    assert page.locator(".ring").count() == 1
    click(page, "x(0,2)")
    follow(page, page.get_by_role("button", name="Take back"))
    assert page.locator(".cross").count() == 1
    click(page, "x(0,2)", "x(2,0)")
    assert page.get_by_role("heading", name="The game is over: you win as x").is_visible()
    assert page.locator(".target").count() == 0
    follow(page, page.get_by_role("button", name="New game, the agent begins"))
    assert page.get_by_role("heading", name="Your move as o").is_visible()
    assert page.locator(".cross").count() == 1
    assert page.logged == []


def test_connect_four_takes_a_click_anywhere_in_a_column(open_page):
    page = open_page("connect_four")
    follow(page, page.get_by_label("x3", exact=True).last)
    assert page.locator(".disc.seat0").count() == 1
    click(page, "x3")
    lowest, next_lowest = (page.locator(".disc.seat0").nth(index).bounding_box() for index in (1, 0))
    assert lowest["x"] == next_lowest["x"]
    assert lowest["y"] > next_lowest["y"]


def test_chess_piece_is_moved_by_clicking_where_it_stands_and_where_it_goes(open_page):
    page = open_page("chess", answers=("e5",))
    click(page, "choose 6-4")
    assert page.locator(".target").count() == 2
    click(page, "e4")
    assert page.locator(".moves").inner_text().split() == ["1", "e4", "e5"]
    pawn, square = page.get_by_label("choose 4-4"), page.locator(".place.last")
    assert square.count() == 2
    assert pawn.count() == 0  # blocked


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("name", sorted(STYLES))
def test_page_fits_its_width_in_light_and_dark_and_logs_nothing(open_page, name, width):
    means = {}
    for scheme in ("light", "dark"):
        page = open_page(name, width, scheme)
        follow(page, page.locator(".target").first)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.logged == []
        board = page.locator(".board").bounding_box()
        assert board["width"] >= 0.4 * min(width, board["height"])
        grey = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"), float)
        means[scheme] = np.median(grey)
    assert means["light"] > 150.0
    assert means["dark"] < 150.0
