"""What is said after a name that nobody knows."""

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str], prefix: str = "") -> str:
    """`; did you mean ...?` of the nearest known name, else `; known here: ...`; empty where nothing is known."""
    known = list(known)
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if matches:
        return f"; did you mean {prefix}{matches[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""
