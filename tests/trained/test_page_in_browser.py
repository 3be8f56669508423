"""The page of an inspected move in a browser: dark and light, wide and narrow; nothing requested, nothing clipped."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.trained.pages import make_page

pytestmark = pytest.mark.slow

WIDE, PHONE = 1280, 390
# Words of the tree that leave their box or touch each other there; ticks of a chart that touch.
CLASHES = """() => {
    const place = element => element.getBoundingClientRect();
    const touch = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;  // of line height, which letters do not fill
    const clashes = [];
    const compare = (words, box) => words.forEach((one, index) => {
        const here = place(one);
        if (box && (here.left < box.left || here.right > box.right)) clashes.push([one.textContent, 'its box']);
        words.slice(index + 1).forEach(other => {
            if (touch(here, place(other))) clashes.push([one.textContent, other.textContent]);
        });
    });
    document.querySelectorAll('.tree .node').forEach(
        node => compare([...node.querySelectorAll('text')], place(node.querySelector('rect'))));
    document.querySelectorAll('.card svg').forEach(chart => compare([...chart.querySelectorAll('text')], place(chart)));
    return clashes;
}"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A page file of each kind of game."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CartPole", "Pong", "board"):
            if name == "board":  # with the widest names that Atari has
                patch.setattr("mzpipe.trained.watched.action_names", lambda game: ("DOWNRIGHTFIRE",) * 9)
            folder = tmp_path_factory.mktemp("pages")
            made[name] = folder / "page.html"
            made[name].write_text(make_page(name, folder / "run", simulations=200 if name == "board" else 12)[1])
    return made


@pytest.fixture
def look(browser, paths):
    """Opens a page; collects what it requests and logs."""
    opened = []

    def open_page(name, width, scheme):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.requests, page.logged = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.logged.append(message.text))
        page.on("pageerror", lambda error: page.logged.append(str(error)))
        page.goto(paths[name].as_uri())
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.close()


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_page_is_drawn_in_the_colours_asked_for_and_asks_for_nothing(look, width):
    means = {}
    for scheme in ("light", "dark"):
        page = look("CartPole", width, scheme)
        grey = np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L"), float)
        assert [url for url in page.requests if not url.startswith("data:")] == [page.url]
        assert page.logged == []
        assert grey.shape[1] == width
        means[scheme] = grey.mean()
    assert means["light"] > 190.0
    assert means["dark"] < 90.0


@pytest.mark.parametrize("width", [WIDE, 1000, PHONE, 320])
@pytest.mark.parametrize("name", ["CartPole", "board", "Pong"])
def test_no_words_touch_or_leave_their_box_and_the_page_is_not_widened(look, name, width):
    page = look(name, width, "light")
    assert page.evaluate(CLASHES) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_every_picture_is_shown(look):
    page = look("Pong", WIDE, "light")
    sizes = page.evaluate("[...document.images].map(image => [image.naturalWidth, image.naturalHeight, image.width])")
    assert [size[:2] for size in sizes] == [[160, 210], [42, 42], [42, 42]]
    assert all(shown > 100 for *_, shown in sizes)


def test_the_whole_tree_can_be_seen_on_a_wide_page(look):
    page = look("board", WIDE, "light")
    tree, around = (page.locator(name).first.bounding_box() for name in (".tree", ".drawing"))
    assert tree["x"] + tree["width"] <= around["x"] + around["width"]
