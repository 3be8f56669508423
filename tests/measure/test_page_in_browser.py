"""The page in a browser: dark and light, wide and narrow; nothing requested, nothing logged, nothing clipped."""

import io

import numpy as np
import pytest
from PIL import Image

from mzpipe.measure.page import render_page
from tests.measure.pages import ABOUT, busy_report, idle_report
from tests.telemetry.moments import MEMBERS

pytestmark = pytest.mark.slow

WIDE, PHONE = 1280, 390
REPORTS = {"busy": busy_report, "without reanalyzers": lambda: busy_report(MEMBERS), "idle": idle_report}

# Pairs of words that touch; words that leave their box, or reach into one from an arrow; words on an arrow.
CLASHES = """() => {
    const clashes = [], shown = [...document.querySelectorAll('.pipeline svg')].filter(svg => svg.clientWidth);
    const touch = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;  // of line height, which letters do not fill
    const within = (a, b) => a.left >= b.left && a.right <= b.right && a.bottom <= b.bottom;
    const place = element => element.getBoundingClientRect();
    for (const svg of shown) {
        const words = [...svg.querySelectorAll('.box text, .arrow tspan')];
        const frames = [...svg.querySelectorAll('.frame')].map(place);
        const arrows = [...svg.querySelectorAll('.arrow polygon, .arrow path')].map(place);
        words.forEach((one, index) => words.slice(index + 1).forEach(other => {
            if (touch(place(one), place(other))) clashes.push([one.textContent, other.textContent]);
        }));
        for (const one of words) {
            const here = place(one), box = one.closest('.box');
            if (box && !within(here, place(box.querySelector('.frame')))) clashes.push([one.textContent, 'its box']);
            if (!box && frames.some(frame => touch(here, frame))) clashes.push([one.textContent, 'a box']);
            if (arrows.some(arrow => touch(here, arrow))) clashes.push([one.textContent, 'an arrow']);
            if (!within(here, place(document.documentElement))) clashes.push([one.textContent, 'the page']);
        }
    }
    return {clashes, shown: shown.length};
}"""


@pytest.fixture
def look(open_page):
    """Opens the page of a report."""
    return lambda name, width, scheme: open_page(render_page(REPORTS[name](), ABOUT), width, scheme)


def picture(page):
    """A picture of the page in shades of grey."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L"), float)


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_page_is_drawn_in_the_colours_asked_for_and_asks_for_nothing(look, width):
    means = {}
    for scheme in ("light", "dark"):
        page = look("busy", width, scheme)
        grey = picture(page)
        assert page.requests == [page.url]
        assert page.logged == []
        assert grey.shape[1] == width
        assert grey.std() > 10.0
        # The pipeline has boxes and words of its own: no stretch of it as high as a box is one colour.
        place = page.locator(".pipeline:visible").bounding_box()
        drawn = grey[int(place["y"]) : int(place["y"] + place["height"])]
        assert all(drawn[top : top + 60].std() > 5.0 for top in range(0, len(drawn) - 60, 60))
        means[scheme] = grey.mean()
    assert means["light"] > 200.0
    assert means["dark"] < 80.0


@pytest.mark.parametrize("width", [WIDE, 1000, PHONE, 320])
@pytest.mark.parametrize("name", REPORTS)
def test_no_words_touch_leave_their_box_or_widen_the_page(look, name, width):
    page = look(name, width, "light")
    found = page.evaluate(CLASHES)
    assert found["shown"] == 1
    assert found["clashes"] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_page_is_printed_in_light_colours_with_the_wide_pipeline(look):
    page = look("busy", PHONE, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator(".pipeline.wide").is_visible()
    assert not page.locator(".pipeline.tall").is_visible()
    assert picture(page).mean() > 200.0
