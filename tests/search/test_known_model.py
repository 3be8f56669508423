"""The search with true rules for a model: it must play tic-tac-toe perfectly.

The model knows the rules and nothing else: value 0 everywhere and a uniform policy over the free squares, so that all
strength comes from rewards that the search finds and carries back. Every reply of the opponent is followed; the
positions of one depth are searched as one batch.
"""

import os

import numpy as np
import pytest

from mzpipe.search import BatchedSearch
from tests.known import tictactoe
from tests.search.driver import quiet_config

compiled_only = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0",
    reason="2000 simulations of some 400 positions take minutes without the compiler",
)
# Practically impossible, yet finite, as the search demands.
TAKEN_LOGIT = -30.0
AFTER_EVERY_FIRST_MOVE = {tictactoe.step(tictactoe.EMPTY, action)[1] for action in range(tictactoe.NUM_ACTIONS)}


def rules_config(num_simulations: int):
    """Rewards are the mover's, hence discount -1."""
    return quiet_config(num_simulations, discount=-1.0)


def policy_logits(state) -> list[float]:
    """Uniform over the free squares; over all of them once the game is over."""
    if state is tictactoe.OVER:
        return [0.0] * tictactoe.NUM_ACTIONS
    return [0.0 if legal else TAKEN_LOGIT for legal in tictactoe.legal_actions(state)]


def choose(states: list, num_simulations: int) -> list[int]:
    """The most visited action of every position, all searched as one batch."""
    num_trees = len(states)
    search = BatchedSearch(rules_config(num_simulations), batch_size=num_trees, num_actions=tictactoe.NUM_ACTIONS)
    logits_BA = np.array([policy_logits(state) for state in states], np.float32)
    value_B, reward_B = np.zeros(num_trees, np.float32), np.zeros(num_trees, np.float32)
    hidden_states = [[state] for state in states]
    search.begin(logits_BA, value_B, np.array([tictactoe.legal_actions(state) for state in states]))
    for _ in range(num_simulations):
        parent_index_B, action_B = search.select()
        edges = zip(hidden_states, parent_index_B.tolist(), action_B.tolist(), strict=True)
        for b, (nodes, parent, action) in enumerate(edges):
            reward_B[b], next_state = tictactoe.step(nodes[parent], action)
            nodes.append(next_state)
            logits_BA[b] = policy_logits(next_state)
        search.backup(reward_B, value_B, logits_BA)
    return search.result().visits_BA.argmax(axis=1).tolist()


def after_every_reply(state) -> tuple[set, int]:
    """Positions after each reply of the opponent that does not end the game, and how many replies win at once."""
    replies = [action for action, legal in enumerate(tictactoe.legal_actions(state)) if legal]
    outcomes = [tictactoe.step(state, action) for action in replies]
    return {after for _, after in outcomes if after is not tictactoe.OVER}, sum(reward > 0 for reward, _ in outcomes)


def count_losses(states: set, num_simulations: int) -> int:
    """Losing lines when the search moves in `states` and the opponent tries everything."""
    losses = 0
    while states:
        ordered = sorted(states)
        states = set()
        for state, action in zip(ordered, choose(ordered, num_simulations), strict=True):
            _, after = tictactoe.step(state, action)
            if after is not tictactoe.OVER:
                unfinished, lost = after_every_reply(after)
                states |= unfinished
                losses += lost
    return losses


@compiled_only
def test_search_never_loses_tictactoe_when_it_moves_first():
    assert count_losses({tictactoe.EMPTY}, 2000) == 0


@compiled_only
def test_search_never_loses_tictactoe_when_it_moves_second():
    assert count_losses(AFTER_EVERY_FIRST_MOVE, 2000) == 0


@pytest.mark.parametrize(
    ("squares", "best"),
    [
        pytest.param("XX. OO. ...", 2, id="wins at once"),
        pytest.param("X.. OO. X..", 5, id="blocks a row"),
        pytest.param("X.O .O. ..X", 6, id="blocks a diagonal"),
    ],
)
def test_search_finds_the_only_good_move_when_200_simulations_long(squares, best):
    board = squares.replace(" ", "")
    player = "X" if board.count("X") == board.count("O") else "O"
    mine = sum(1 << square for square, mark in enumerate(board) if mark == player)
    theirs = sum(1 << square for square, mark in enumerate(board) if mark not in (".", player))
    assert choose([(mine, theirs)], 200) == [best]
