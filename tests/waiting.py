"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], timeout_s: float = 60.0) -> bool:
    """Whether the condition comes true in time."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.005)
    return bool(condition())  # the machine may have stood still since the last look


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Waits for the condition; fails with `what` when it does not come true in time."""
    assert eventually(condition, timeout_s), f"not within {timeout_s} s: {what}"
