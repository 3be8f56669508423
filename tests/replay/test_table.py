"""The table: bound, removal by whole trajectories, links."""

import numpy as np
import pytest

from mzpipe.errors import ConfigError
from mzpipe.ipc.columns import named
from mzpipe.replay.frames import NONE
from mzpipe.replay.sizes import TableShape, bytes_per_transition
from mzpipe.replay.sum_tree import sum_tree_bytes
from mzpipe.replay.table import Table
from tests.memory import resident_growth
from tests.replay.episodes import make_table, random_episode, records


def insert(table, episode, number=0, epoch=0):
    for record in records(episode, number):
        table.insert(record, actor=0, epoch=epoch)


def test_table_removes_whole_oldest_trajectories_when_it_is_full():
    table = make_table(12)
    rng = np.random.default_rng(0)
    for number in range(4):
        insert(table, random_episode(rng, 5, "terminated"), number)
    assert (table.tail, table.head, table.size) == (10, 20, 10)


def test_table_cuts_the_link_to_a_removed_trajectory():
    table = make_table(10)
    insert(table, random_episode(np.random.default_rng(0), 15, "terminated"))
    oldest = table.added.trajectory_C[table.tail % table.capacity]
    assert table.trajectories.before_R[oldest % table.capacity] == NONE


def test_table_does_not_link_records_of_an_actor_that_was_restarted():
    table = make_table(100)
    first, second = records(random_episode(np.random.default_rng(0), 10, "terminated"), 0)
    table.insert(first, actor=0, epoch=0)
    table.insert(second, actor=0, epoch=1)
    assert table.trajectories.before_R[1] == NONE
    assert table.trajectories.after_R[0] == NONE


def test_table_forgets_unfinished_episodes_when_their_records_are_removed():
    table = make_table(10)
    rng = np.random.default_rng(0)
    for number in range(50):
        insert(table, random_episode(rng, 5, "unfinished"), number)
    assert len(table._open) == len(table._key_of) == 2


def test_table_takes_no_more_bytes_than_its_bound():
    table = Table(
        TableShape(
            capacity_bytes=1 << 20, frame_shape=(1, 8, 8), frame_dtype="uint8", num_actions=6, trajectory_length=16
        )
    )
    columns = [*named(table.steps).values(), *table.added, *table.trajectories]
    frames = table.frames.num_raw * table.frames.frame_size
    nbytes = sum(column.nbytes for column in columns) + frames + sum_tree_bytes(table.capacity)
    assert 0.99 * (1 << 20) < nbytes <= 1 << 20
    assert table.capacity == (1 << 20) // bytes_per_transition((1, 8, 8), "uint8", 6)


def test_table_refuses_a_bound_below_two_trajectories():
    with pytest.raises(
        ConfigError, match=r"replay.capacity_bytes=100: holds \d+ transitions .* set it to at least \d+"
    ):
        Table(
            TableShape(capacity_bytes=100, frame_shape=(4,), frame_dtype="float32", num_actions=2, trajectory_length=8)
        )


def test_table_does_not_link_over_a_record_that_was_lost():
    table = make_table(100)
    first, _, third = records(random_episode(np.random.default_rng(0), 15, "terminated"), 0)
    table.insert(first, actor=0, epoch=0)
    table.insert(third, actor=0, epoch=0)
    assert table.trajectories.before_R[1] == NONE
    assert table.trajectories.after_R[0] == NONE


def test_table_links_nothing_to_episodes_that_were_closed():
    table = make_table(100)
    first, second = records(random_episode(np.random.default_rng(0), 10, "terminated"), 0)
    table.insert(first, actor=0, epoch=0)
    table.close_episodes()
    table.insert(second, actor=0, epoch=0)
    assert table.trajectories.after_R[0] == NONE


def test_table_says_which_step_lives_in_a_row():
    table = make_table(12)
    rng = np.random.default_rng(0)
    for number in range(7):
        insert(table, random_episode(rng, 5, "terminated"), number)
        stored = np.arange(table.tail, table.head)
        np.testing.assert_array_equal(table.step_at(stored % table.capacity), stored)


def test_table_has_all_its_pages_before_the_first_record():
    """Memory that grows as the table fills could run out long after the plan has said that it is enough."""
    setup = "from mzpipe.replay.sizes import TableShape\nfrom mzpipe.replay.table import Table"
    sizes = "capacity_bytes=1 << 26, frame_shape=(1, 84, 84), frame_dtype='uint8', num_actions=6, trajectory_length=16"
    assert resident_growth(setup, f"Table(TableShape({sizes}))") > 0.95 * (1 << 26)


def test_growth_of_a_table_without_touched_pages_would_be_seen():
    """The negative control: numpy's zeros have no pages yet."""
    assert resident_growth("import numpy as np", "np.zeros(1 << 26, np.uint8)") < 0.1 * (1 << 26)


def test_table_tells_the_actions_before_a_step_and_whether_the_episodes_beginning_is_stored():
    rng = np.random.default_rng(0)
    table, long, short = make_table(20), *(random_episode(rng, length, "terminated") for length in (13, 4))
    for record in (*records(long, 0), *records(short, 1)):
        table.insert(record, actor=0, epoch=0)
    for step in (0, 4, 5, 12):
        assert table.has_beginning(step)
        assert table.actions_before(step).tolist() == long.actions[:step]
    for record in records(random_episode(rng, 4, "terminated"), 2):
        table.insert(record, actor=0, epoch=0)
    assert table.tail == 5  # the long episode's first record had to leave
    assert not table.has_beginning(6) and not table.has_beginning(12)
    assert table.has_beginning(15) and table.actions_before(15).tolist() == short.actions[:2]
    second, third = list(records(random_episode(rng, 13, "terminated"), 3))[1:]
    for record in (second, third):  # what came before was lost
        table.insert(record, actor=0, epoch=0)
    assert not table.has_beginning(table.head - 1)
