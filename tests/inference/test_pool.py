"""The kernels that make a batch, against plain loops."""

import numpy as np

from mzpipe.inference.pool import common_version, scatter_kernel

LANES, TREES, ACTIONS = 4, 3, 2


def test_answers_reach_their_own_lanes_only():
    rng = np.random.default_rng(0)
    lanes, num_rows = np.array([3, 0, 2], np.int32), np.array([2, 3, 1, 3], np.int32)
    node, last = np.array([4, 1, 4, 2], np.int32), np.array([4, 4, 4, 4], np.int32)
    answer = rng.standard_normal((2 + 1 + 3, 2 + ACTIONS)).astype(np.float32)
    reward, value = np.full((LANES, TREES), -1.0, np.float32), np.full((LANES, TREES), -1.0, np.float32)
    logits, version = np.full((LANES, TREES, ACTIONS), -1.0, np.float32), np.zeros(LANES, np.int64)
    finished = np.full(LANES, -1, np.int32)
    count = scatter_kernel(lanes, num_rows, node, last, answer, 7, reward, value, logits, version, finished)
    row = 0
    for lane in lanes:
        for tree in range(TREES):
            if tree < num_rows[lane]:
                expected = answer[row]
                row += 1
            else:
                expected = np.full(2 + ACTIONS, -1.0, np.float32)
            np.testing.assert_array_equal([reward[lane, tree], value[lane, tree], *logits[lane, tree]], expected)
    assert row == len(answer)
    assert (reward[1] == -1.0).all()
    assert version.tolist() == [7, 0, 7, 7]
    assert finished[:count].tolist() == [0, 2]


def test_lanes_that_search_by_one_version_are_answered_together():
    kind, held = np.array([1, 1, 0, 1], np.int32), np.array([5, 5, 5, 6])

    def common(*lanes):
        return common_version(np.array(lanes, np.int32), kind, held, 1)

    assert common(0, 1) == 5
    assert common(3) == 6
    assert common(0, 3) == 0  # two versions
    assert common(0, 2) == 0  # one begins a search
    assert common_version(np.array([0], np.int32), kind, np.zeros(4, np.int64), 1) == 0  # never began a search
