"""The page of an inspected move: what it says, how its tree and charts are drawn, and that names are escaped."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from mzpipe.search import BatchedSearch
from mzpipe.trained.inspection import Foreseen
from mzpipe.trained.page import signed
from mzpipe.trained.page.forecast import FRAME, make_charts
from mzpipe.trained.page.tree import BOX_HEIGHT, BOX_WIDTH, children_of, draw_tree, principal_variation
from tests.search.driver import coarse_model, peaked_model, quiet_config, random_model
from tests.search.driver import run as search_once
from tests.trained.pages import make_page, parsed


def searched(model, simulations=60, num_actions=6):
    """The tree of one search of a made-up model."""
    search = BatchedSearch(quiet_config(simulations), batch_size=1, num_actions=num_actions)
    search_once(search, model(1, simulations + 1, 1, num_actions))
    return search.tree(0)


@pytest.mark.parametrize("model", [random_model, coarse_model, peaked_model])
def test_the_drawn_tree_hangs_together_and_no_boxes_touch(model):
    tree = searched(model)
    drawing = draw_tree(tree)
    drawn = {box.node: box for box in drawing.boxes}
    assert 2 <= len(drawn) <= 36
    for box in drawing.boxes:
        if box.node:
            parent = drawn[int(tree.parent_K[box.node])]
            assert box.x > parent.x + BOX_WIDTH
            assert box.edge.startswith(f"M{parent.x + BOX_WIDTH:g} {parent.y + BOX_HEIGHT / 2:g}")
            assert box.edge.endswith(f"V{box.y + BOX_HEIGHT / 2:g}H{box.x:g}")
        assert box.x + BOX_WIDTH <= drawing.width and box.y + BOX_HEIGHT <= drawing.height
    places = [(box.x, box.y) for box in drawing.boxes]
    assert len(set(places)) == len(places)


def test_no_node_is_left_out_for_one_with_fewer_visits():
    tree = searched(coarse_model)
    drawn = {box.node for box in draw_tree(tree).boxes}
    least = min(tree.visits_K[list(drawn)])
    for node in set(range(len(tree.parent_K))) - drawn:
        depth, parent = 0, node
        while parent:
            depth, parent = depth + 1, int(tree.parent_K[parent])
        assert tree.visits_K[node] <= least or depth > 6


def test_the_principal_variation_follows_most_visits_straight_on():
    tree = searched(random_model)
    line = principal_variation(tree)
    assert tree.parent_K[line[0]] == 0 and not (tree.parent_K == line[-1]).any()
    for node in [0, *line[:-1]]:
        children = children_of(tree, node)
        assert tree.visits_K[children[0]] == max(tree.visits_K[tree.parent_K == node])
    boxes = {box.node: box for box in draw_tree(tree).boxes}
    on_line = [boxes[node] for node in line if node in boxes]
    assert {box.y for box in on_line} == {boxes[0].y}
    assert all(box.is_principal for box in on_line)


def foreseen(*values):
    return [
        Foreseen(depth, depth or None, value if depth else None, 1.0 if depth else None, value, -value, None)
        for depth, value in enumerate(values)
    ]


@pytest.mark.parametrize("values", [(0.0, 0.5, -3.0), (1e6, 2e6), (0.0, 0.0), (-5.0, -5.0, -5.0), (1e-9, 3.0)])
def test_charts_hold_all_their_points_in_order(values):
    for chart in make_charts(foreseen(*values)):
        marks = [mark.at for mark in chart.y_marks]
        assert marks == sorted(marks, reverse=True)
        assert marks[0] == pytest.approx(FRAME.base) and marks[-1] == pytest.approx(FRAME.top)
        for series in chart.series:
            for x, y in series.points:
                assert FRAME.left <= x <= FRAME.right
                assert FRAME.top - 0.1 <= y <= FRAME.base + 0.1
            assert [x for x, _ in series.points] == [mark.at for mark in chart.x_marks]


def test_charts_stand_where_their_marks_say():
    values = make_charts(foreseen(0.0, 2.0, 1.0))[1]
    by_text = {mark.text: mark.at for mark in values.y_marks}
    (model,) = (series for series in values.series if series.style == "foreseen")
    assert model.points[1][1] == pytest.approx(by_text["2"])
    assert model.points[0][1] == pytest.approx(by_text["0"])


def test_without_a_move_there_is_no_chart_of_rewards():
    assert [chart.name for chart in make_charts(foreseen(1.0))] == ["values"]
    assert [chart.name for chart in make_charts(foreseen(1.0, 2.0))] == ["rewards", "values"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (-0.0001, "0"), (0.12345, "0.123"), (-1.5, "\N{MINUS SIGN}1.5"), (143.234, "143.2")],
)
def test_numbers_have_four_digits_and_a_true_minus(value, text):
    assert signed(value) == text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CartPole", "Gumbel", "board", "Pong"])
def test_page_says_what_the_search_found(name, tmp_path):
    inspection, page = make_page(name, tmp_path / "run")
    root, decision = parsed(page), inspection.position.decision
    words = " ".join(" ".join(root.itertext()).split())
    assert "a run, episode 0, step 2" in words
    assert f"{inspection.names[decision.action]} chosen" in words
    table = root.findall(".//table")[0]
    rows = {row[0].text.strip(): [cell.text for cell in row[2:5]] for row in table.find("tbody")}
    assert set(rows) == {inspection.names[action] for action in np.flatnonzero(decision.prior)}
    for action in np.flatnonzero(decision.visits):
        visits, q, _ = rows[inspection.names[action]]
        assert visits == str(decision.visits[action])
        assert float(q.replace("\N{MINUS SIGN}", "-")) == pytest.approx(decision.q[action], rel=1e-3, abs=6e-4)
    assert len(root.findall(".//svg[@class='tree']/g")) >= 3
    assert len(root.findall(".//table")[1].find("tbody")) == len(inspection.foreseen)
    assert ("is to move" in words) == (name == "board")


@pytest.mark.slow
def test_page_shows_the_game_and_the_frames_as_pictures(tmp_path):
    inspection, page = make_page("Pong", tmp_path / "run")
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for text in found]
    np.testing.assert_array_equal(pictures[0], inspection.picture)
    assert [picture.shape for picture in pictures[1:]] == [(42, 42, 3)] * 2
    np.testing.assert_array_equal(pictures[-1][:, :, 0], inspection.position.observation_S[-1])


@pytest.mark.slow
def test_page_requests_nothing_and_escapes_names(tmp_path, monkeypatch):
    monkeypatch.setattr("mzpipe.trained.watched.action_names", lambda game: ("<b>&left", "right"))
    _, page = make_page("CartPole", tmp_path / "run")
    assert "<b>" not in page and "&lt;b&gt;&amp;left" in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
