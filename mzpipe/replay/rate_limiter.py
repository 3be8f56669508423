"""RateLimiter: keeps reuse at samples_per_insert, whichever side is faster."""


class RateLimiter:
    """Blocks sampling while there is too little data for it, and inserting while the learner lags.

    With `lead` = inserted - sampled / samples_per_insert, in transitions:
    sampling waits until min_size transitions are in, and while it would push
    `lead` below min_size - max_insert_lead; inserting waits while `lead` would
    pass min_size + max_insert_lead. In the long run sampled / inserted tends to
    samples_per_insert.

    Precondition: max_insert_lead is at least config's least_insert_lead, or the two
    sides deadlock; a profile that breaks it is refused when it is loaded.
    """

    def __init__(self, *, samples_per_insert: float, min_size: int, max_insert_lead: int) -> None:
        self._samples_per_insert, self._min_size, self._max_insert_lead = samples_per_insert, min_size, max_insert_lead
        self.inserted = 0
        self.sampled = 0

    def can_insert(self, count: int) -> bool:
        """Whether `count` more transitions keep the lead inside the corridor."""
        return self.inserted < self._min_size or self._lead() + count <= self._min_size + self._max_insert_lead

    def can_sample(self, count: int) -> bool:
        """Whether `count` more samples keep the lead inside the corridor."""
        lead = self._lead() - count / self._samples_per_insert
        return self.inserted >= self._min_size and lead >= self._min_size - self._max_insert_lead

    def _lead(self) -> float:
        return self.inserted - self.sampled / self._samples_per_insert
