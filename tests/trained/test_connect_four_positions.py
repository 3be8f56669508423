"""The shipped positions of Connect Four, and the program that solved them, against OpenSpiel and naive negamax."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pyspiel
import pytest

from mzpipe.trained.positions import load_positions

FOLDER = Path(__file__).parents[2] / "benchmarks" / "positions"
pytestmark = [pytest.mark.slow, pytest.mark.jit]


@pytest.fixture(scope="module")
def solver():
    spec = importlib.util.spec_from_file_location("solve_connect_four", FOLDER / "solve_connect_four.py")
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)  # compiled code asks for its module by name
    spec.loader.exec_module(module)
    yield module.Solver()
    del sys.modules[spec.name]


def state_after(moves):
    state = pyspiel.load_game("connect_four").new_initial_state()
    for move in moves:
        state.apply_action(move)
    return state


def negamax(state):
    """The value for the player to move."""
    mover, values = state.current_player(), []
    for action in state.legal_actions():
        child = state.child(action)
        values.append(child.returns()[mover] if child.is_terminal() else -negamax(child))
        if values[-1] == 1:
            break
    return max(values)


def values_by_negamax(moves):
    state, values = state_after(moves), {}
    for action in state.legal_actions():
        child = state.child(action)
        over = child.is_terminal()
        values[action] = int(child.returns()[state.current_player()] if over else -negamax(child))
    return values


def random_moves(length, rng):
    while True:
        state, moves = state_after([]), []
        while not state.is_terminal() and len(moves) < length:
            moves.append(int(rng.choice(state.legal_actions())))
            state.apply_action(moves[-1])
        if not state.is_terminal():
            return moves


def test_values_are_those_of_naive_negamax(solver):
    rng = np.random.default_rng(1)
    for _ in range(40):
        moves = random_moves(33, rng)
        assert solver.values(moves) == values_by_negamax(moves), moves


def test_shipped_positions_are_open_games_of_their_stated_value(solver):
    positions = load_positions(FOLDER / "connect_four.csv")
    assert len(positions) == 300
    assert {position.value for position in positions} == {1.0, 0.0, -1.0}
    for position in positions:
        state = state_after(position.moves)
        assert not state.is_terminal() and position.keeping <= set(state.legal_actions())
        assert (position.keeping == set(state.legal_actions())) == (position.value == -1.0)
    for position in positions[-50:]:
        values = solver.values(list(position.moves))
        assert max(values.values()) == position.value
        assert {action for action, value in values.items() if value == position.value} == position.keeping
