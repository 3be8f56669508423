"""The store: table, priorities and journal move together, and come back together."""

from dataclasses import replace

import numpy as np
import pytest

from mzpipe.config import ReplayConfig
from mzpipe.errors import InputOutputError
from mzpipe.ipc.columns import named
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.journal import STATE, Journal, JournalLayout, read_journal
from mzpipe.replay.journal.state import decode_state, encode_state
from mzpipe.replay.sampler import PrioritizedSampler, UniformSampler, priority_of_weight
from mzpipe.replay.store import Store
from tests.replay.episodes import FRAME_SHAPE, NUM_ACTIONS, make_table, random_episode, records

LAYOUT = JournalLayout(FRAME_SHAPE, "float32", NUM_ACTIONS)


class Session:
    """One session of a run: a store that resumes from what its directory holds."""

    def __init__(self, directory, transitions=100, uniform=False, journal=True, td_steps=3, **replay):
        self.table = make_table(transitions)
        former = read_journal(directory) if directory.exists() else None
        if former:
            former.repair()
        self.journal = Journal(directory, LAYOUT, segment_bytes=600, former=former) if journal else None
        self.sampler = UniformSampler(self.table, 0) if uniform else PrioritizedSampler(self.table, seed=0, alpha=0.6)
        self.gatherer = Gatherer(self.table, discount=0.9, td_steps=td_steps)
        config = ReplayConfig(priority_alpha=0.6, journal_state_s=1000.0, **replay)
        self.store = Store(self.table, self.sampler, self.gatherer, self.journal, config)
        self.restored = self.store.restore(former) if former else None

    def play(self, episodes, first_number=0, keep=None):
        """Inserts the records of episodes, of each the first `keep` at most."""
        for number, episode in enumerate(episodes, first_number):
            for record in list(records(episode, number))[:keep]:
                self.store.insert(record, actor=0, epoch=0)

    def end(self, save=True):
        if save:
            self.store.save_state()
        assert self.journal.close(60.0)

    def columns(self):
        stored = np.arange(self.table.tail, self.table.head)
        rows = stored % self.table.capacity
        stacks = np.zeros((len(stored), 4 * FRAME_SHAPE[0]), np.float32)
        self.gatherer.stacks(stored, stacks)
        columns = named(self.table.steps) | named(self.table.added)
        steps = {name: column[rows] for name, column in columns.items() if name != "trajectory"}
        return {**steps, "stacks": stacks, "priority": self.sampler.weights(stored)}


def episodes(count, seed=0, length=12):
    rng = np.random.default_rng(seed)
    return [random_episode(rng, length, "terminated") for _ in range(count)]


def assert_same(first, second, but=()):
    for name in set(first) - set(but):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_store_comes_back_as_it_was_with_its_priorities(tmp_path):
    first = Session(tmp_path / "journal")
    first.play(episodes(5))
    first.sampler.update(np.arange(0, 60, 2), np.linspace(0.1, 9.0, 30).astype(np.float32))
    first.end()
    second = Session(tmp_path / "journal")
    assert second.restored[:2] == (60, 60)
    assert_same(first.columns(), second.columns(), but=["priority"])
    np.testing.assert_allclose(second.columns()["priority"], first.columns()["priority"], rtol=1e-5)
    second.end()


def test_store_refuses_a_journal_with_a_record_that_no_server_takes_in(tmp_path):
    first = Session(tmp_path / "journal")
    first.play(episodes(2))
    (record, *_) = records(episodes(1)[0], 7)
    record.steps.reward[0] = np.nan
    first.store.insert(record, actor=0, epoch=0)
    first.end()
    with pytest.raises(InputOutputError, match=r"journal: trajectory \d+: reward holds NaN or infinity: restore it"):
        Session(tmp_path / "journal")


def test_store_keeps_what_was_inserted_after_the_last_save_of_the_priorities(tmp_path):
    first = Session(tmp_path / "journal")
    first.play(episodes(3))
    first.store.save_state()
    first.play(episodes(2, seed=1), first_number=10)
    first.end(save=False)
    second = Session(tmp_path / "journal")
    assert second.restored[:2] == (60, 60)
    assert_same(first.columns(), second.columns(), but=["priority"])
    np.testing.assert_allclose(second.columns()["priority"], first.columns()["priority"], rtol=1e-5)
    second.end()


def test_store_forgets_on_disk_what_the_table_has_removed(tmp_path):
    first = Session(tmp_path / "journal", transitions=40)
    first.play(episodes(30))
    first.end()
    nbytes = sum(path.stat().st_size for path in (tmp_path / "journal").iterdir())
    assert nbytes < 30 * 12 * 60
    second = Session(tmp_path / "journal", transitions=40)
    assert second.restored.inserted == 360
    assert_same(first.columns(), second.columns(), but=["priority"])
    second.end()


def test_a_smaller_table_takes_the_newest(tmp_path):
    first = Session(tmp_path / "journal", transitions=100)
    first.play(episodes(8))
    first.end()
    second = Session(tmp_path / "journal", transitions=30)
    stored, inserted, _ = second.restored
    assert inserted == 96
    assert 25 < stored <= 30  # whole trajectories of up to five
    columns, last = second.columns(), {name: column[-stored:] for name, column in first.columns().items()}
    assert_same(last, columns, but=["priority", "stacks"])
    second.end()


def test_sessions_do_not_link_their_episodes_though_actor_game_and_number_are_the_same(tmp_path):
    first = Session(tmp_path / "journal")
    first.play(episodes(1), keep=1)  # moves 0 to 4 of an episode that the stop cut off
    first.end()
    second = Session(tmp_path / "journal")
    episode = episodes(1, seed=9)[0]
    for record in list(records(episode, 0))[1:]:  # the same actor, epoch, game and episode, from move 5 on
        second.store.insert(record, actor=0, epoch=0)
    assert (second.table.trajectories.after_R[0], second.table.trajectories.before_R[1]) == (-1, -1)
    second.end()
    third = Session(tmp_path / "journal")
    assert third.table.trajectories.before_R[:3].tolist() == [-1, -1, 1]
    third.end()


def test_serials_continue_where_the_last_session_stopped(tmp_path):
    for session in range(3):
        now = Session(tmp_path / "journal")
        now.play(episodes(2, seed=session), first_number=10 * session)
        serials = now.table.trajectories.serial_R[list(now.table.numbers())]
        assert (np.diff(serials) == 1).all()
        assert now.store.inserted == 24 * (session + 1)
        now.end()


def test_a_damaged_state_gives_the_priorities_of_new_data(tmp_path):
    first = Session(tmp_path / "journal")
    first.play(episodes(3))
    fresh = first.columns()["priority"]
    first.sampler.update(np.arange(36), np.full(36, 50.0, np.float32))
    first.end()
    state = tmp_path / "journal" / "state.mzs"
    state.write_bytes(state.read_bytes()[:-3] + b"abc")
    second = Session(tmp_path / "journal")
    assert second.restored.stored == 36
    # An episode's first records no longer bootstrap from their own cut, because the whole episode is known by now.
    np.testing.assert_allclose(second.columns()["priority"], fresh, rtol=1e-5)
    second.end()


@pytest.mark.parametrize("uniform", [True, False])
def test_a_changed_sampler_restores_the_other_ones_journal(tmp_path, uniform):
    first = Session(tmp_path / "journal", uniform=uniform)
    first.play(episodes(3))
    first.end()
    second = Session(tmp_path / "journal", uniform=not uniform)
    assert second.restored.stored == 36
    assert len(second.sampler.draw(10, 1.0).step_B) == 10
    second.end()


def test_a_state_that_was_saved_of_an_empty_table_is_restored(tmp_path):
    """Every run's first saved state is of an empty table."""
    first = Session(tmp_path / "journal")
    first.store.save_state()
    first.play(episodes(2))
    first.end(save=False)
    second = Session(tmp_path / "journal")
    assert second.restored[:2] == (24, 24)
    second.end()


def test_new_transitions_enter_at_the_greatest_priority_so_far_when_the_profile_says_max(tmp_path):
    session = Session(tmp_path / "journal", journal=False, initial_priority="max")
    session.play(episodes(2))
    session.sampler.update(np.arange(24), np.linspace(0.1, 3.0, 24).astype(np.float32))
    session.play(episodes(1, seed=1), first_number=10)
    session.sampler.update(np.array([23]), np.array([0.2], np.float32))
    session.play(episodes(1, seed=2), first_number=20)
    priority = priority_of_weight(session.columns()["priority"], 0.6)
    np.testing.assert_allclose(priority[24:], 3.0, rtol=1e-5)


def test_new_transitions_continue_at_the_greatest_restored_priority_when_the_profile_says_max(tmp_path):
    first = Session(tmp_path / "journal", initial_priority="max")
    first.play(episodes(2))
    first.sampler.update(np.arange(24), np.linspace(0.1, 3.0, 24).astype(np.float32))
    first.store.save_state()
    first.play(episodes(1, seed=1), first_number=10)  # after the last save: restored like new ones
    first.end(save=False)
    second = Session(tmp_path / "journal", initial_priority="max")
    second.play(episodes(1, seed=2), first_number=20)
    priority = priority_of_weight(second.columns()["priority"], 0.6)
    np.testing.assert_allclose(priority[:24], np.linspace(0.1, 3.0, 24), rtol=1e-4)
    np.testing.assert_allclose(priority[24:], 3.0, rtol=1e-4)
    second.end()


def rare_rewards(count, length=37):
    """Records of a new network's play: every value is 0, and so is every reward but an episode's last."""
    for number, episode in enumerate(episodes(count, length=length)):
        episode = replace(episode, root_values=[0.0] * length, rewards=[0.0] * (length - 1) + [1.0])
        for record in records(episode, number):
            record.final_value[0] = 0.0
            yield record


@pytest.mark.parametrize(("initial_priority", "least", "most"), [("error", 0.5, 0.9), ("max", 0.0, 0.0)])
def test_first_transitions_are_all_drawn_when_they_enter_at_the_greatest_priority(
    tmp_path, initial_priority, least, most
):
    """By their own |v - z|, which is 0 for most, they wait: the network errs everywhere as soon as it learns."""
    rules = {"td_steps": 5, "initial_priority": initial_priority}
    session = Session(tmp_path / "journal", transitions=2000, journal=False, **rules)
    for record in rare_rewards(54):
        session.store.insert(record, actor=0, epoch=0)
    undrawn = np.ones(session.table.size, np.bool_)
    for _ in range(100):
        step_B = session.sampler.draw(256, beta=0.4).step_B
        undrawn[step_B] = False
        session.sampler.update(step_B, np.full(256, 0.1, np.float32))
    assert least <= undrawn.mean() <= most


def of(**changes):
    return lambda fields, arrays: ({**fields, **changes}, arrays)


def without(name):
    return lambda fields, arrays: ({k: v for k, v in fields.items() if k != name}, arrays)


def arrays_of(**changes):
    return lambda fields, arrays: (
        fields,
        {**arrays, **{name: change(arrays[name]) for name, change in changes.items()}},
    )


FORGED = {
    "a text for a count": of(inserted="60"),
    "a count below zero": of(next_serial=-1),
    "a fraction for a count": of(session=1.5),
    "a huge count": of(inserted=2**63),
    "a truth for a count": of(inserted=True),
    "no alpha": without("alpha"),
    "alpha of nothing": of(alpha=None),
    "alpha of zero": of(alpha=0.0),
    "alpha that is not a number": of(alpha=float("nan")),
    "alpha that makes infinite priorities": of(alpha=1e-300),
    "a table for alpha": of(alpha={}),
    "lengths that do not add up": arrays_of(length=lambda length: length + 1),
    "lengths below zero": arrays_of(length=lambda length: -length),
    "lengths that are fractions": arrays_of(length=lambda length: length.astype(np.float32)),
    "fewer serials": arrays_of(serial=lambda serial: serial[:-1]),
    "serials below zero": arrays_of(serial=lambda serial: -1 - serial),
    "one serial twice": arrays_of(serial=lambda serial: serial - (serial == serial[-1])),
    "weights in two dimensions": arrays_of(weight=lambda weight: weight[None]),
    "weights that are not finite": arrays_of(weight=lambda weight: weight * np.float32("inf")),
    "weights below zero": arrays_of(weight=lambda weight: -1.0 - weight),
    "no lengths": lambda fields, arrays: (fields, {"weight": arrays["weight"]}),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_store_restores_without_a_state_that_is_forged_and_says_so(tmp_path, forge):
    first = Session(tmp_path / "journal")
    first.play(episodes(5))
    first.end()
    path = tmp_path / "journal" / STATE
    path.write_bytes(encode_state(*forge(*decode_state(path.read_bytes()))))
    second = Session(tmp_path / "journal")
    assert second.restored[:2] == (60, 60)
    assert second.restored.note.startswith(f"{path}: damaged and ignored: its ") and len(second.restored.note) < 300
    second.end()


def test_store_takes_the_priorities_of_trajectories_of_another_length_for_none(tmp_path):
    first = Session(tmp_path / "journal")
    first.play(episodes(5))
    first.end()
    path = tmp_path / "journal" / STATE
    fields, arrays = decode_state(path.read_bytes())
    path.write_bytes(encode_state(fields, {**arrays, "length": arrays["length"] + np.resize([1, -1, 0], 15)}))
    second = Session(tmp_path / "journal")
    assert second.restored == (60, 60, None)
    assert np.isfinite(second.columns()["priority"]).all()
    second.end()
