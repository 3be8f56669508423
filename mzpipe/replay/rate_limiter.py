"""RateLimiter: keeps sampled / inserted near samples_per_insert, whichever side is faster."""

from ..config.replay import check_corridor
from ..errors import ConfigError


class RateLimiter:
    """Blocks sampling while there is too little data, and inserting while the learner lags.

    Let `lead` = inserted - sampled / samples_per_insert, in transitions. Sampling
    waits until min_size transitions are in, and while it would push `lead` below
    min_size - max_insert_lead. Inserting waits while `lead` would exceed
    min_size + max_insert_lead. In the long run sampled / inserted tends to
    samples_per_insert.

    Raises ConfigError for a corridor in which both sides can wait for ever: one
    narrower than least_insert_lead, or one that needs more data than the table holds.
    """

    def __init__(
        self,
        *,
        samples_per_insert: float,
        min_size: int,
        max_insert_lead: int,
        batch_size: int,
        trajectory_length: int,
        capacity: int,
    ) -> None:
        self._samples_per_insert, self._min_size, self._max_insert_lead = samples_per_insert, min_size, max_insert_lead
        self.inserted = 0
        self.sampled = 0
        self._refuse_deadlock(batch_size, trajectory_length, capacity)

    def can_insert(self, count: int) -> bool:
        """Whether `count` more transitions keep the lead inside the corridor."""
        return self.inserted < self._min_size or self._lead() + count <= self._min_size + self._max_insert_lead

    def can_sample(self, count: int) -> bool:
        """Whether `count` more samples keep the lead inside the corridor."""
        lead = self._lead() - count / self._samples_per_insert
        return self.inserted >= self._min_size and lead >= self._min_size - self._max_insert_lead

    def resume(self, *, inserted: int, sampled: int) -> None:
        """Resumes from a former session's counts; if new settings exclude them, from the corridor's nearer edge."""
        lead = inserted - sampled / self._samples_per_insert
        lowest = self._min_size - self._max_insert_lead if inserted >= self._min_size else lead
        lead = min(max(lead, lowest), self._min_size + self._max_insert_lead)
        self.inserted, self.sampled = inserted, max(0, round((inserted - lead) * self._samples_per_insert))

    def _lead(self) -> float:
        return self.inserted - self.sampled / self._samples_per_insert

    def _refuse_deadlock(self, batch_size: int, trajectory_length: int, capacity: int) -> None:
        check_corridor(
            samples_per_insert=self._samples_per_insert,
            max_insert_lead=self._max_insert_lead,
            batch_size=batch_size,
            trajectory_length=trajectory_length,
        )
        check_min_size(self._min_size, capacity=capacity, trajectory_length=trajectory_length)


def check_min_size(min_size: int, *, capacity: int, trajectory_length: int) -> None:
    """Raises ConfigError if the table can never hold as much as the first batch waits for."""
    if min_size > capacity - trajectory_length:
        raise ConfigError(
            f"replay.min_size_to_sample={min_size}: the table holds {capacity} transitions and removes whole "
            f"trajectories of up to {trajectory_length}: lower it to {capacity - trajectory_length}, or raise "
            "replay.capacity_bytes"
        )


class OpenLimiter:
    """The limiter of a table that gets no inserts: sampling never waits."""

    def __init__(self) -> None:
        self.inserted = self.sampled = 0

    def can_insert(self, count: int) -> bool:
        """Always False: nothing is inserted."""
        return False

    def can_sample(self, count: int) -> bool:
        """Always True."""
        return True
