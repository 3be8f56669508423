"""The page of scores in a browser: dark and light, wide and narrow; nothing requested, nothing clipped or faint."""

import io

import numpy as np
import pytest
from PIL import Image

from mzpipe.trained.scores import make_report
from mzpipe.trained.scores.page import render_page
from tests.trained.scores.samples import atari_runs, cartpole_runs, make_run

pytestmark = pytest.mark.slow

WIDE, NARROW, PHONE = 1400, 800, 390
REPORTS = {
    "atari": lambda: make_report(atari_runs()),
    "mixed games": lambda: make_report([*cartpole_runs(18), *atari_runs(1)]),
    "widest": lambda: make_report(
        [make_run(f"{'long-name-' * 6}{n}", "MontezumaRevenge", -999_999.0 + 10_000 * n, 2 * 10**8) for n in range(3)]
    ),
}

# Words of a chart that touch each other or leave their chart; words that leave the page and cannot be scrolled to.
CLASHES = """() => {
    const clashes = [], place = element => element.getBoundingClientRect();
    const touch = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;  // of line height, which letters do not fill
    const within = (a, b) =>
        a.left > b.left - 1 && a.right < b.right + 1 && a.top > b.top - 1 && a.bottom < b.bottom + 1;
    for (const svg of document.querySelectorAll('svg[role=img]')) {
        const words = [...svg.querySelectorAll('text')];
        words.forEach((one, index) => words.slice(index + 1).forEach(other => {
            if (touch(place(one), place(other))) clashes.push([one.textContent, other.textContent]);
        }));
        for (const one of words) {
            if (!within(place(one), place(svg))) clashes.push([one.textContent, 'its chart']);
        }
    }
    for (const one of document.querySelectorAll('h1, h2, p, dd, li, figcaption')) {
        if (!within(place(one), place(document.documentElement))) clashes.push([one.textContent, 'the page']);
    }
    return clashes;
}"""
# The contrast of every word's colour, and of every line's, with the card that it stands on; WCAG 2's formula.
FAINTEST = """() => {
    const parts = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = colour => parts(colour).map(c => linear(c / 255))
        .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
    const ground = getComputedStyle(document.querySelector('.card')).backgroundColor;
    const contrast = colour => {
        const [a, b] = [light(colour), light(ground)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
    };
    const least = (selector, property) =>
        Math.min(...[...document.querySelectorAll(selector)].map(one => contrast(getComputedStyle(one)[property])));
    return {words: least('td, th, li, figcaption, figcaption span', 'color'), drawn: least('svg text', 'fill'),
            lines: least('.curve', 'stroke')};
}"""


@pytest.fixture
def look(open_page):
    """Opens the page of a report."""
    return lambda name, width, scheme: open_page(render_page(REPORTS[name](), "2026-01-02 03:04 UTC"), width, scheme)


def test_page_is_drawn_in_the_colours_asked_for_and_asks_for_nothing(look):
    means = {}
    for scheme in ("light", "dark"):
        page = look("atari", WIDE, scheme)
        grey = np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L"), float)
        assert page.requests == [page.url]
        assert page.logged == []
        assert grey.shape[1] == WIDE
        assert grey.std() > 10.0
        means[scheme] = grey.mean()
    assert means["light"] > 200.0
    assert means["dark"] < 80.0


@pytest.mark.parametrize("width", [WIDE, NARROW, PHONE])
@pytest.mark.parametrize("name", REPORTS)
def test_no_words_touch_or_leave_their_place_and_the_page_is_no_wider_than_the_window(look, name, width):
    page = look(name, width, "light")
    assert page.evaluate(CLASHES) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_tables_need_no_scrolling(look, width):
    page = look("atari", width, "light")
    wider = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.evaluate(wider) == 0
    for words in ("EfficientZero", "breakout-seed0", "optimality gap", "mean return", "env steps"):
        assert page.locator("th, text, strong").filter(has_text=words).first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_lines_stand_out_from_their_ground(look, scheme):
    faintest = look("mixed games", WIDE, scheme).evaluate(FAINTEST)
    assert faintest["words"] >= 4.5
    assert faintest["drawn"] >= 4.5
    assert faintest["lines"] >= 4.0
