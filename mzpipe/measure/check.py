"""The result of one check of a user's own code: `check-env` and `check-network`."""

from typing import NamedTuple


class Check(NamedTuple):
    """The result of one check; `passed` is None if it cannot fail."""

    name: str
    passed: bool | None
    text: str
