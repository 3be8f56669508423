"""Plans which processes a drill kills, when, and in which sessions: a seed determines all of it."""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from enum import StrEnum, auto
from typing import NamedTuple

from mzpipe.ipc.roles import Role

SUPERVISOR = "supervisor"
ROLES = (*Role, SUPERVISOR)
# Kills for one kill in a stop, for one of the supervisor, and for a storm.
_PER_STOP, _PER_SUPERVISOR, _PER_STORM = 12, 10, 40


class Phase(StrEnum):
    """When a process is killed."""

    START = auto()  # a moment after its start; for a role: after its successor's start, so it dies twice
    STEADY = auto()
    CHECKPOINT = auto()  # while the learner saves
    STOP = auto()  # a moment after Ctrl-C
    STORM = auto()  # again and again, until the budget is spent


class Kill(NamedTuple):
    """One kill, of a role or of the supervisor; `also` is killed at the same moment."""

    role: Role | str
    phase: Phase
    also: Role | None = None

    def __str__(self) -> str:
        return f"{self.role}{f' and {self.also}' if self.also else ''} ({self.phase})"

    def touches(self, role: Role | str) -> bool:
        """Whether a process of this role is killed."""
        return role in (self.role, self.also)


class Session(NamedTuple):
    """Kills that a session outlives, and the one that ends it; without one Ctrl-C ends it."""

    kills: list[Kill]
    end: Kill | None = None

    def words(self) -> str:
        """The session in a line."""
        return ", ".join(map(str, [*self.kills, self.end or "Ctrl-C"]))

    @property
    def keeps_what_is_stored(self) -> bool:
        """Whether what is missing from the journal was lost by actors alone."""
        everything = [*self.kills, *filter(None, [self.end])]
        return not any(kill.touches(Role.REPLAY) or kill.touches(SUPERVISOR) for kill in everything)


def plan_sessions(count: int, seed: int, roles: Sequence[Role | str]) -> list[Session]:
    """At least `count` kills in sessions, in an order and at phases that the seed determines."""
    rng = random.Random(seed)
    others = [role for role in Role if role in roles]
    ends = _ends(count, rng, others, SUPERVISOR in roles)
    sessions = [Session([], end) for end in ends]
    living = [each for each in sessions if each.end != Kill(SUPERVISOR, Phase.START)]
    stored = [each for each in living if not each.keeps_what_is_stored]
    if not stored:
        stored = [Session([])]
        sessions, living = sessions + stored, living + stored
    for kill in _kills(count - len(ends), rng, others):
        fitting = stored if kill.touches(Role.REPLAY) else living
        min(fitting, key=lambda each: len(each.kills)).kills.append(kill)
    rng.shuffle(sessions)
    sessions.sort(key=lambda each: each is not living[0])  # the first one makes a journal
    return sessions


def _ends(count: int, rng: random.Random, others: list[Role], supervisor: bool) -> list[Kill]:
    phases = [Phase.STEADY, Phase.START, Phase.CHECKPOINT]
    ends = [Kill(SUPERVISOR, phases[each % 3]) for each in range(max(1, count // _PER_SUPERVISOR) if supervisor else 0)]
    if others:
        ends += (Kill(rng.choice(others), Phase.STOP) for _ in range(max(1, count // _PER_STOP)))
        ends += (Kill(rng.choice(others), Phase.STORM) for _ in range(count // _PER_STORM))
    return ends


def _kills(count: int, rng: random.Random, others: list[Role]) -> Iterator[Kill]:
    queue = deque[Role]()
    for number in range(count if others else 0):
        if not queue:
            queue.extend(rng.sample(others, len(others)))
        role = queue.popleft()
        phase = rng.choices([Phase.STEADY, Phase.START, Phase.CHECKPOINT], [6, 2, 2])[0]
        rest = [each for each in others if each != role]
        also = rng.choice(rest) if rest and number % 10 == 9 and phase is not Phase.START else None
        yield Kill(role, phase, also)
