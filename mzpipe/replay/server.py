"""The replay server: takes in trajectories and hands out batches, at the rate that samples_per_insert allows.

Reads   trajectory_ring[i], priority_ring[r], target_ring[j]
Writes  batch_ring[r], position_ring[j], the journal
Owns    the table
"""

from pathlib import Path
from typing import NamedTuple

from ..config import ReplayConfig
from ..errors import InputOutputError
from ..games import describe_game
from ..ipc.counters import WaitClock
from ..ipc.messages import Note
from ..ipc.ring import RingReader
from ..ipc.roles import Role
from ..ipc.schema import Trajectory
from ..ipc.shape import Member, PlaneShape
from ..ipc.stages import Stage
from ..ipc.trace import Mark
from ..planning import derive_seed, signed_search
from ..runtime.agent import Agent, Turns
from ..runtime.context import RoleContext
from .batches import BatchMaker
from .gather import Gatherer
from .journal import Journal, JournalContents, JournalLayout, has_journal, read_journal
from .rate_limiter import OpenLimiter, RateLimiter
from .sampler import make_sampler
from .sizes import TableShape, journal_segment_bytes
from .store import Restored, Store, fault_of
from .table import Table

# The server does not wait longer than this for the journal to be written.
_JOURNAL_CLOSE_S = 1.5
# Steps and tickets of one start of the server; the next start's numbers begin after them.
_NUMBERS_PER_EPOCH = 1 << 40


class Recovery(NamedTuple):
    """The journal to write (None: the profile has none), the contents to restore, and lines for the user."""

    journal: Journal | None
    contents: JournalContents | None
    lines: list[str]


def recover(replay: ReplayConfig, shape: PlaneShape, directory: Path) -> Recovery:
    """Reads the journal of this run, or of the run that it learns from.

    Raises InputOutputError if it is damaged or belongs to another game. A torn end is cut off, in this run's own files.
    """
    layout = JournalLayout(shape.frame_shape, shape.frame_dtype, shape.num_actions, shape.action_size)
    if replay.source:
        source = Path(replay.source) / directory.name
        if not has_journal(source):
            raise InputOutputError(f"replay.from={replay.source!r}: {source} holds no journal to train on")
        contents = read_journal(source, layout)
        return Recovery(None, contents, [f"training on {source}", *contents.notes])
    former = read_journal(directory, layout) if has_journal(directory) else None
    if not replay.journal:
        ignored = [f"{directory}: neither restored nor continued: replay.journal=false"] if former else []
        return Recovery(None, None, ignored)
    if former is not None:
        former.repair()
    journal = Journal(directory, layout, segment_bytes=journal_segment_bytes(replay.capacity_bytes), former=former)
    return Recovery(journal, former, former.notes if former else [])


class ReplayServer(Agent):
    """Agent of role `replay`."""

    role = Role.REPLAY

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        profile, plane = self._profile, self._plane
        self._discount = signed_search(profile.search, describe_game(profile.game).num_players).discount
        self._directory = context.storage.journal
        self._learner = plane.counters(Member(Role.LEARNER, 0))
        self._stop_word = plane.stop_word()
        self._learner_bells = [plane.doorbell(member) for member in plane.shape.learners()]
        self._started = False

    def on_start(self) -> None:
        """Allocates the table, restores what the journal holds, and attaches to the rings."""
        profile, plane, replay = self._profile, self._plane, self._profile.replay
        shape = plane.shape
        # Keys and tickets of a killed server may still come back: none of them names a position of this one.
        first_number = self._epoch * _NUMBERS_PER_EPOCH
        self._table = Table(TableShape.of(replay, shape, shape.trajectory_length), first_number)
        steps, epoch = self._learner.get("learner_steps"), (self._epoch,) if self._epoch else ()
        self._sampler = make_sampler(replay, self._table, derive_seed(profile.seed, self.role, steps, *epoch))
        gatherer = Gatherer(self._table, discount=self._discount, td_steps=replay.td_steps)
        self._limiter = self._make_limiter()
        self._recovery = recover(replay, shape, self._directory)
        self._store = Store(self._table, self._sampler, gatherer, self._recovery.journal, replay)
        self._restore(self._recovery)
        self._waits = WaitClock(self._counters)
        parts = (self._table, self._sampler, gatherer, self._limiter, self._waits)
        self._batches = BatchMaker(profile, plane, *parts, first_ticket=first_number)
        self._writers = shape.trajectory_writers()
        self._readers = [RingReader(plane.trajectory_ring(ring)) for ring in range(len(self._writers))]
        self._actor_bells = [plane.doorbell(writer) for writer in self._writers]
        self._checked = [False] * len(self._writers)  # whether the record that waits in the ring was found to be valid
        self._turns = Turns(len(self._writers))
        self._priorities = [RingReader(plane.priority_ring(rank)) for rank in range(shape.learner_ranks)]
        self._counters.set("capacity", self._table.capacity)
        self._started = True

    def do_work(self) -> int:
        """Takes a record from each ring, and advances every batch as far as the rate limiter and its peers allow."""
        self._waits.lap()
        work_count = sum(self._take_priorities(rank) for rank in range(len(self._priorities)))
        work_count += self._take_records()
        self._look_after_journal()
        return work_count + (self._batches.do_work() if self._table.size else 0)

    def drain(self) -> bool:
        """Takes in all that lies in the rings, whatever the rate limiter says."""
        for actor in range(len(self._readers)):
            while self._insert(actor, at_end=True):
                continue
        return True

    def on_close(self) -> None:
        """Takes in the last records of the actors, and writes the rest of the journal."""
        if not self._started:
            return
        self.drain()
        if self._recovery.journal is not None:
            self._store.save_state()
            self._recovery.journal.close(_JOURNAL_CLOSE_S)
            self._tell(self._recovery.journal)

    def _make_limiter(self) -> RateLimiter | OpenLimiter:
        replay, profile = self._profile.replay, self._profile
        if replay.source:
            return OpenLimiter()
        return RateLimiter(
            samples_per_insert=replay.samples_per_insert,
            min_size=replay.min_size_to_sample,
            max_insert_lead=replay.max_insert_lead,
            batch_size=profile.learner.batch_size,
            trajectory_length=profile.actor.trajectory_length,
            capacity=self._table.capacity,
        )

    def _restore(self, recovery: Recovery) -> None:
        for line in recovery.lines:
            self._control.send(Note(line))
        known = self._counters.get("inserted")  # the last session's count, or this session's before a restart
        restored = self._fill(recovery.contents, known) if recovery.contents else None
        if restored is not None and self._epoch > 0:  # the journal may have one more that was not yet counted
            known = max(known, restored.inserted)
        taken_in = known - self._counters.get("former_inserted")
        self._count_inserts()
        # After the count: a session that is killed in between has rather lost nothing than all that was restored.
        self._counters.set("former_inserted", self._limiter.inserted - taken_in)
        if restored is not None:
            self._control.send(
                Note(
                    f"restored {restored.stored:,} transitions of {restored.inserted:,} inserted so far; "
                    f"{self._counters.get('lost'):,} lost in a kill"
                )
            )

    def _fill(self, contents: JournalContents, known: int) -> Restored:
        """Fills the table from the journal of a run that had taken in `known` transitions."""
        restored = self._store.restore(contents, lambda: self._counters.add("parts"))
        if restored.note:
            self._control.send(Note(restored.note))
        self._counters.set("restored", restored.stored)
        self._counters.set("lost", self._counters.get("lost") + max(0, known - restored.inserted))
        if isinstance(self._limiter, RateLimiter):
            sampled = self._learner.get("learner_steps") * self._profile.learner.batch_size
            sampled = max(sampled, self._counters.get("sampled"))  # 0 in a new session
            self._limiter.resume(inserted=restored.inserted, sampled=sampled)
        return restored

    def _take_records(self) -> int:
        """Takes a record from each ring in turn; shorter records do not overtake one that has to wait for room."""
        taken = 0
        for actor in self._turns.order():
            if self._insert(actor):
                self._turns.served(actor)
                taken += 1
            elif self._checked[actor]:
                break
        return taken

    def _insert(self, actor: int, *, at_end: bool = False) -> int:
        reader = self._readers[actor]
        record = reader.peek()
        if record is None:
            return 0
        if self._checked[actor] or not (self._is_known(actor, record) or self._refuse(actor, record)):
            self._checked[actor] = True
            if not (at_end or self._admits(record)):
                self._waits.mark("insert_wait")
                self._clock.blocked()
                return 0
            self._clock.skip()
            inserted = self._store.insert(record, actor=actor, epoch=reader.epoch())
            self._clock.end(Stage.REPLAY_INSERT, inserted)
            self._limiter.inserted += inserted
        # Released before it is counted: the successor of a server that is killed here takes no record that was counted.
        reader.release()
        self._count_inserts()
        self._checked[actor] = False
        self._actor_bells[actor].ring()
        return 1

    def _admits(self, record: Trajectory) -> bool:
        """Whether the rate limiter lets the record in; in a stop actors wait for room for the last they have played."""
        return self._limiter.can_insert(int(record.length[0])) or self._stop_word.stage() > 0

    def _is_known(self, actor: int, record: Trajectory) -> bool:
        """Whether a killed server of this session stored the record, and died before it released it."""
        epoch = self._readers[actor].epoch()
        return self._epoch > 0 and self._store.has_restored(record, actor=actor, epoch=epoch)

    def _refuse(self, actor: int, record: Trajectory) -> bool:
        fault = fault_of(record)
        if fault is None:
            return False
        if self._counters.get("refused") == 0:
            who = f"actor-{actor}" if actor < self._plane.shape.actors else f"pod-{actor - self._plane.shape.actors}"
            self._control.send(Note(f"a record of {who} is refused: {fault}; further ones are only counted"))
        self._counters.add("refused", max(1, int(record.length[0])))
        return True

    def _count_inserts(self) -> None:
        self._counters.set("inserted", self._limiter.inserted)
        self._counters.set("stored", self._table.size)

    def _take_priorities(self, rank: int) -> int:
        record = self._priorities[rank].peek()
        if record is None:
            return 0
        self._clock.mark(Mark.PRIORITIES_TAKEN, rank, self._priorities[rank].sequence)
        step_B = record.keys.generation_B * self._table.capacity + record.keys.slot_B
        stale = self._sampler.update(step_B, record.priority_B)
        self._counters.add("priority_updates", len(step_B) - stale)
        self._counters.add("stale_priorities", stale)
        self._priorities[rank].release()
        self._learner_bells[rank].ring()
        return 1

    def _look_after_journal(self) -> None:
        journal = self._recovery.journal
        if journal is None:
            return
        self._store.save_state_if_due()
        self._counters.set("journal_bytes", journal.bytes_on_disk)
        self._counters.set("unjournaled", journal.dropped_transitions)
        self._tell(journal)

    def _tell(self, journal: Journal) -> None:
        for line in journal.lines():
            self._control.send(Note(line))
