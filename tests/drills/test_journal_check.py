"""The check of CartPole's journals: silent about real games, loud about each planted fault."""

import gymnasium
import numpy as np
import pytest

from mzpipe.ipc.columns import Sizes, allocate
from mzpipe.ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Trajectory
from mzpipe.replay.journal import Journal, JournalLayout, StoredTrajectory
from tests.drills.journal_check import Findings, Played, check, count_stored, played_in

LENGTH = 8
LAYOUT = JournalLayout((4,), "float32", 2)
SIZES = Sizes(length=LENGTH, num_actions=2, frame_shape=(4,), frame_dtype="float32")


def record_of(game, episode, offset, moves, end):
    """A trajectory of (frame, action) pairs."""
    record = allocate(Trajectory, SIZES)
    record.game[0], record.episode[0], record.offset[0] = game, episode, offset
    record.length[0], record.end[0] = len(moves), end
    record.frame[: len(moves)] = [frame for frame, _ in moves]
    record.steps.action[: len(moves)] = [action for _, action in moves]
    record.steps.reward[: len(moves)] = 1.0
    return record


def games(count, choose, seed=0):
    """Trajectories of games that gymnasium's own CartPole plays, as an actor cuts them."""
    env, rng = gymnasium.make("CartPole-v1"), np.random.default_rng(seed)
    frame, _ = env.reset(seed=seed)
    for episode in range(count):
        moves, offset, end = [], 0, UNFINISHED
        while end == UNFINISHED:
            action = choose(frame, rng)
            moves.append((frame, action))
            frame, _, terminated, truncated, _ = env.step(action)
            end = TERMINATED if terminated else TRUNCATED if truncated else UNFINISHED
            if end != UNFINISHED or len(moves) == LENGTH:
                yield record_of(1, episode, offset, moves, end)
                moves, offset = [], offset + len(moves)
        frame, _ = env.reset()
    env.close()


def at_random(frame, rng):
    return int(rng.integers(2))


def upright(frame, rng):
    """Balances the pole up to the limit of 500 moves."""
    return int(frame @ np.array([0.1, 0.3, 1.0, 1.0]) > 0)


@pytest.fixture(scope="module")
def records():
    played = [*games(30, at_random), *games(1, upright, seed=1)]
    return [StoredTrajectory(serial, 0, int(serial > 90), record) for serial, record in enumerate(played)]


@pytest.fixture
def played(records):
    return played_in(records)


def planted(played, column, row, value):
    """The transitions with one number changed."""
    columns = {name: array.copy() for name, array in played._asdict().items()}
    columns[column][row] = value
    return Played(**columns)


def test_check_finds_nothing_in_real_games_that_end_in_both_ways(played):
    assert {UNFINISHED, TERMINATED, TRUNCATED} == set(played.end_N)
    assert check(played) == Findings(len(played), torn=0, duplicated=0)


def test_check_finds_nothing_where_there_is_nothing(records):
    assert check(played_in([])) == Findings(0, 0, 0)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("action_N", lambda action: 1 - action),
        ("reward_N", lambda reward: 0.0),
        ("frame_N4", lambda frame: frame + [0, 1e-3, 0, 0]),
        ("frame_N4", lambda frame: frame[::-1]),
        ("end_N", lambda end: TERMINATED),
    ],
)
def test_check_finds_one_transition_that_was_altered(played, column, change):
    row = int(np.flatnonzero((played.move_N == 3) & (played.end_N == UNFINISHED))[0])
    assert check(planted(played, column, row, change(getattr(played, column)[row]))).torn >= 1


def test_check_finds_the_halves_of_two_records_that_were_swapped(records):
    swapped = [each.record for each in records if each.record.offset[0] == LENGTH][:2]
    for column in (record.frame for record in swapped):
        assert column.shape[0] == LENGTH
    first, second = (record_of(1, 0, LENGTH, [*zip(r.frame, r.steps.action, strict=True)], 0) for r in swapped)
    first.frame[4:], second.frame[4:] = second.frame[4:].copy(), first.frame[4:].copy()
    torn = check(played_in([StoredTrajectory(0, 0, 0, first), StoredTrajectory(1, 1, 0, second)])).torn
    assert torn >= 2


def test_check_finds_a_record_that_is_stored_twice(records):
    again = records[40]._replace(serial=len(records))
    findings = check(played_in([*records, again]))
    assert (findings.torn, findings.duplicated) == (0, int(again.record.length[0]))


def test_check_finds_a_record_under_another_episode(records):
    middle = next(each for each in records if each.record.offset[0] == LENGTH)
    others = [each for each in records if each is not middle]
    stray = StoredTrajectory(middle.serial, middle.actor, middle.epoch, middle.record._replace(episode=np.array([1])))
    without = [each for each in others if (each.record.episode[0], each.record.offset[0]) != (1, LENGTH)]
    assert check(played_in([*without, stray])).torn >= 1


def test_stored_transitions_are_counted_by_life_of_an_actor_from_a_serial_on(records, tmp_path):
    journal = Journal(tmp_path / "journal", LAYOUT, segment_bytes=1 << 20)
    for serial, actor, epoch, record in records:
        journal.append(serial, record, actor=actor, epoch=epoch + (7 << 32))
    assert journal.close(60.0)
    everything, rest = count_stored(tmp_path / "journal"), count_stored(tmp_path / "journal", after_serial=90)
    assert everything.transitions == rest.transitions == sum(int(each.record.length[0]) for each in records)
    assert set(everything.of_epochs) == {(0, 0), (0, 1)}
    assert set(rest.of_epochs) == {(0, 1)}
    assert rest.of_epochs[0, 1] == everything.of_epochs[0, 1]
    assert everything.last_serial == len(records) - 1
