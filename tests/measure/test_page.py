"""The page of a report: one well-formed file that requests nothing and shows what the report holds."""

import dataclasses
import re

import pytest

from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.measure.page.arrows import width_of
from mzpipe.measure.page.tall import tall
from mzpipe.measure.page.trends import FRAME, make_trends
from mzpipe.measure.page.wide import wide
from mzpipe.telemetry.rates import RatePoint
from mzpipe.telemetry.report import whole_report
from tests.measure.pages import ABOUT, busy_report, idle_report, page_of, pod_use, with_class, words_of
from tests.telemetry.moments import MEMBERS, Pipeline, busy_second

# Those of a run without pods.
STAGES = [stage for stage in Stage if stage.role not in (Role.GATEWAY, Role.UPLINK)]
LAYOUTS = pytest.mark.parametrize("layout", [wide, tall])


@pytest.fixture(scope="module")
def report():
    return busy_report()


@pytest.fixture(scope="module")
def page(report):
    return page_of(report)


def test_page_refers_to_nothing_outside_itself(page):
    text, root = page
    assert "http://" not in text
    assert "https://" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert {element.tag for element in root.iter()} & {"script", "img", "iframe", "object", "base", "a"} == set()
    assert [link.get("href") for link in root.iter("link")] == ["data:,"]


def test_page_says_whose_numbers_these_are_and_what_holds_the_run_back(page, report):
    _, root = page
    (header,) = root.iter("header")
    for word in (ABOUT.profile, *ABOUT.overrides, *ABOUT[2:], "4.0 s", "2.10 of 4 in use"):
        assert word in words_of(header)
    (verdict,) = with_class(root, "verdict")
    assert words_of(verdict) == f"bottleneck {report.verdict.stage} {report.verdict.sentence}"
    (tiles,) = with_class(root, "tiles")
    assert words_of(tiles).startswith("env steps/s 6,913,576 simulations/s 0 learner steps/s 3,456,788")


def test_page_leaves_the_commit_out_where_there_is_none(report):
    _, root = page_of(report, ABOUT._replace(commit=None))
    (header,) = root.iter("header")
    assert "Commit" not in words_of(header)


def test_page_escapes_what_a_report_brings_in(report):
    evil = "</style><script>alert(1)</script>&\"'"
    text, root = page_of(report, ABOUT._replace(profile=evil, host=evil, overrides=(evil,)))
    assert "<script" not in text
    (title,) = root.iter("h1")
    assert title.text == evil


def test_page_has_a_row_and_a_picture_of_every_stage(page):
    _, root = page
    names = [stage.label for stage in STAGES]
    table = next(root.iter("table"))
    rows = [words_of(head).removesuffix(" bottleneck") for head in table.iter("th") if head.get("scope") == "row"]
    assert rows == names
    captions = [words_of(caption) for caption in root.iter("figcaption")][3:]
    assert [caption.partition(" p50")[0].removesuffix(" bottleneck") for caption in captions] == names
    assert all(card.find("svg") is not None for card in with_class(root, "card"))


def test_page_has_a_row_of_every_process(page, report):
    _, root = page
    table = list(root.iter("table"))[1]
    rows = [words_of(head) for head in table.iter("th") if head.get("scope") == "row"]
    assert rows == list(report.processes)


def test_page_marks_the_bottleneck_wherever_it_shows_it(page, report):
    _, root = page
    (row,) = [element for element in with_class(root, "bottleneck") if element.tag == "tr"]
    assert report.verdict.stage in words_of(row)
    (card,) = [element for element in with_class(root, "bottleneck") if element.tag == "figure"]
    assert report.verdict.stage in words_of(card)
    boxes = [element for element in with_class(root, "bottleneck") if element in with_class(root, "box")]
    assert len(boxes) == 2
    assert all(words_of(box).startswith(report.verdict.role) for box in boxes)


def test_page_says_everything_that_it_draws_in_words_too(page):
    _, root = page
    drawn = [svg for svg in root.iter("svg") if svg.get("aria-hidden") is None]
    assert len(drawn) == 2 + 3 + len(STAGES)
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in drawn)


def test_page_of_a_pipeline_that_did_nothing():
    text, root = page_of(idle_report())
    assert len(with_class(root, "idle")) == len(with_class(root, "arrow")) == 2 * 6
    assert text.count("no call") == len(STAGES) - 1
    assert "nan" not in text.lower()


def test_page_of_a_session_that_is_known_by_its_last_moment_has_no_rates_over_time():
    pipeline = Pipeline()
    busy_second(pipeline, dict.fromkeys(("learner", "inference", "replay", "actor", "evaluator"), 300))
    _, root = page_of(whole_report(pipeline.moment(0.0), cores=2))
    assert "Rates over time" not in words_of(root)


def test_page_shows_no_role_that_does_not_run():
    text, root = page_of(busy_report(MEMBERS))
    assert "reanalyzer" not in text
    assert len(with_class(root, "box")) == 2 * 5
    without_actors = [member for member in MEMBERS if member.role != "actor"]  # replay.from
    text, root = page_of(busy_report(tuple(without_actors)))
    assert "trajectories" not in text
    assert len(with_class(root, "arrow")) == 2 * 4


def test_page_counts_the_processes_of_a_role(page):
    _, root = page
    titles = [words_of(title) for title in with_class(root, "title")]
    assert titles[:3] == ["actor \u00d72", "replay", "learner"]


@LAYOUTS
def test_every_arrow_ends_on_the_edge_of_a_box(layout, report):
    drawing = layout(report)
    assert len(drawing.arrows) == 9
    for arrow in drawing.arrows:
        ends = [head.split()[0] for head in arrow.heads]
        if len(ends) == 1:
            ends.append(re.match(r"M(\S+ \S+)", arrow.shaft)[1].replace(" ", ","))
        for end in ends:
            x, y = map(float, end.split(","))
            assert any(_is_on_edge(box, x, y) for box in drawing.boxes), (arrow.title, end)


def _is_on_edge(box, x, y):
    on_side = box.y < y < box.bottom and min(abs(x - box.x), abs(x - box.right)) < 0.1
    return on_side or (box.x < x < box.right and min(abs(y - box.y), abs(y - box.bottom)) < 0.1)


@LAYOUTS
def test_bars_are_filled_and_boxes_keep_apart(layout, report):
    drawing = layout(report)
    for box in drawing.boxes:
        assert box.segments[-1].x + box.segments[-1].width <= box.right - 11.9
        assert box.segments[-1].x + box.segments[-1].width == pytest.approx(box.right - 12.0, abs=1.1)
        assert 0.0 <= box.x < box.right <= drawing.width
        assert box.bottom <= drawing.height
    for place, one in enumerate(drawing.boxes):
        for other in drawing.boxes[place + 1 :]:
            assert one.right < other.x or other.right < one.x or one.bottom < other.y or other.bottom < one.y


def test_arrows_grow_with_the_logarithm_of_the_rate():
    assert 0.0 < width_of(0.0) < width_of(10.0) < width_of(1_000.0) <= 14.0
    assert width_of(1e5) - width_of(1e4) == pytest.approx(width_of(1e4) - width_of(1e3), rel=0.01)
    assert width_of(1e30) == 14.0


def test_a_role_without_time_has_a_box_without_a_bar():
    members = (Member("learner", 0), Member("actor", 0))
    pipeline = Pipeline(members)
    pipeline.waits(members[1], 1_000)
    drawing = wide(whole_report(pipeline.moment(0.0), cores=2))
    assert [box.segments for box in drawing.boxes if box.role == "learner"] == [[]]


@pytest.mark.parametrize("most", [0.03, 1.0, 7.3, 99.0, 2_083.0, 6.1e6])
def test_a_trend_fills_most_of_its_height_and_its_marks_are_round(report, most):
    rates = report.over_time[0].rates
    points = tuple(RatePoint(time_s, time_s + 1.0, rates._replace(env_steps_per_s=most)) for time_s in (0.0, 1.0))
    trend = make_trends(dataclasses.replace(report, over_time=points, env_steps_per_s=most))[0]
    assert FRAME.top <= trend.mean_y <= FRAME.top + 0.3 * (FRAME.base - FRAME.top)
    assert [mark.at for mark in trend.y_marks] == [FRAME.base, (FRAME.base + FRAME.top) / 2, FRAME.top]
    assert all(len(mark.text) <= 6 for mark in trend.y_marks)


def test_page_has_a_section_of_every_pod_with_its_link_and_its_processes(report):
    text, root = page_of(report, pods=[pod_use(0), pod_use(1, clock=None, weights_delay_s=None)])
    sections = {each.get("aria-labelledby"): words_of(each) for each in root.iter() if each.tag.endswith("section")}
    assert "node<0>" not in text
    assert "pod-0 on node<0>" in sections["pod-0"]
    for words in ("1,234", "25%", "250 ms", "350 µs", "actor-0", "uplink-0"):
        assert words in sections["pod-0"], words
    assert "weights come after -" in sections["pod-1"]
    assert "round trip -" in sections["pod-1"]


def test_page_of_a_run_without_pods_has_no_such_section(page):
    assert "on node" not in page[0]
    assert "waits for room" not in page[0]
