"""Inspections of tiny models as pages."""

from xml.etree import ElementTree

from mzpipe.trained.inspection import inspect_move
from mzpipe.trained.page import render_page
from mzpipe.trained.player import Player
from tests.trained.runs import BOARD, PONG, make_run

RUNS = {
    "CartPole": (),
    "Gumbel": ("search.policy=gumbel",),
    "board": BOARD,
    "Pong": PONG,
}


def make_page(name, path, step=2, simulations=12):
    """The page of one move, and what it shows."""
    player = Player.load(make_run(path, *RUNS[name]), num_simulations=simulations)
    inspection = inspect_move(player, 0, step, seed=0, progress=lambda *_: None)
    return inspection, render_page(inspection, player, "a run")


def parsed(page: str) -> ElementTree.Element:
    """The page as XML, which every page is after its doctype."""
    return ElementTree.fromstring(page.partition("<!DOCTYPE html>")[2])
