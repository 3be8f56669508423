"""The recorder: one record per cut or ended trajectory, back-pressure, nothing lost."""

import numpy as np

from mzpipe.actor.recorder import Recorder
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Steps
from tests.tiny import make_plane, tiny_profile

GAMES = 2


def make(tmp_path):
    plane = make_plane(tmp_path, tiny_profile())  # trajectory_length 5, 4 slots
    recorder = Recorder(plane.shape, RingWriter(plane.trajectory_ring(0)), num_games=GAMES, first_game=10)
    return recorder, RingReader(plane.trajectory_ring(0))


def moves(number):
    """Every value tells the move and the game."""
    value = np.array([number, 1000 + number], np.float32)
    return np.repeat(value[:, None], 4, axis=1), Steps(
        action=value.astype(np.int32) % 2,
        reward=value,
        to_play=np.zeros(GAMES, np.int8),
        legal_actions=np.ones((GAMES, 2), bool),
        search_policy=np.repeat(value[:, None], 2, axis=1),
        root_value=-value,
        weights_version=value.astype(np.int64),
    )


def add(recorder, number, terminated=(False, False), truncated=(False, False)):
    final = np.array([7.0, 8.0], np.float32)
    recorder.add(*moves(number), np.array(terminated), np.array(truncated), final)


def take(reader):
    record = reader.peek()
    if record is None:
        return None
    length = int(record.length[0])
    head = tuple(
        number[0].item() for number in (record.game, record.episode, record.offset, record.end, record.final_value)
    )
    rewards = record.steps.reward[:length].tolist()
    reader.release()
    return head, rewards


def test_recorder_cuts_a_long_episode_and_bootstraps_the_cut(tmp_path):
    recorder, reader = make(tmp_path)
    for number in range(5):
        add(recorder, number)
    assert recorder.flush()
    assert take(reader) == ((10, 0, 0, UNFINISHED, 7.0), [0, 1, 2, 3, 4])
    assert take(reader) == ((11, 0, 0, UNFINISHED, 8.0), [1000, 1001, 1002, 1003, 1004])
    assert take(reader) is None


def test_recorder_continues_an_episode_at_its_offset_until_it_ends(tmp_path):
    recorder, reader = make(tmp_path)
    for number in range(7):
        add(recorder, number, terminated=(number == 6, False))
        assert recorder.flush()
    assert take(reader)[0] == (10, 0, 0, UNFINISHED, 7.0)
    assert take(reader)[0] == (11, 0, 0, UNFINISHED, 8.0)
    assert take(reader) == ((10, 0, 5, TERMINATED, 0.0), [5, 6])
    add(recorder, 7, truncated=(True, False))
    recorder.flush()
    assert take(reader) == ((10, 1, 0, TRUNCATED, 7.0), [7])


def test_recorder_says_so_and_loses_nothing_when_the_ring_is_full(tmp_path):
    recorder, reader = make(tmp_path)
    ended = []
    for number in range(3):  # two records a move into four slots
        add(recorder, number, terminated=(True, True))
        ended.append(recorder.flush())
    assert ended == [True, True, False]
    taken = [take(reader) for _ in range(4)]
    assert recorder.flush()
    taken += [take(reader), take(reader)]
    assert [rewards for _, rewards in taken] == [[0], [1000], [1], [1001], [2], [1002]]


def test_recorder_marks_a_game_terminated_when_both_ends_come_at_once(tmp_path):
    recorder, reader = make(tmp_path)
    add(recorder, 0, terminated=(True, False), truncated=(True, False))
    recorder.flush()
    assert take(reader)[0] == (10, 0, 0, TERMINATED, 0.0)
