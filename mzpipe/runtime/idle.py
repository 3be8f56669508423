"""The idle strategy: the only place in mzpipe that waits; `pause` is for programs that poll without a doorbell.

It spins about 2 us on the doorbell, yields the core up to 50 us, then sleeps on
the futex. This is fast with one core per process and with many processes per
core, and costs nothing while idle; see docs/decisions/0002-waiting.md.
"""

import time

from ..ipc.doorbell import Doorbell

SPIN_NS = 2_000
YIELD_NS = 50_000
# A sleeper checks its control socket and the stop word this often, whether its doorbell rings or not.
SLEEP_NS = 20_000_000
CONTROL_INTERVAL_NS = 10_000_000


class IdleStrategy:
    """Waits after a lap without work until the doorbell rings.

    It reads the doorbell's sequence *before* the lap, so a ring that comes
    during the lap ends the wait at once.
    """

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        doorbell.own()
        self._seen = doorbell.sequence()
        self._control_due_ns = 0

    def after(self, work_count: int) -> None:
        """Ends a lap: returns at once if it did work, otherwise when the doorbell rings or after SLEEP_NS."""
        if work_count:
            self._seen = self._doorbell.sequence()
        else:
            self._seen = self._doorbell.next_sequence(self._seen, SPIN_NS, YIELD_NS, SLEEP_NS)

    def control_is_due(self) -> bool:
        """Whether this lap should check the control socket."""
        now_ns = time.monotonic_ns()
        if now_ns < self._control_due_ns:
            return False
        self._control_due_ns = now_ns + CONTROL_INTERVAL_NS
        return True


def pause(seconds: float) -> None:
    """Sleeps between two polls of other processes' work; no process of a run calls it."""
    time.sleep(seconds)
