"""The other process: plays a pod, `... play HOME RUNTIMES ADDRESS RUN_ID`, or sends bytes, `... send PORT KEY BYTES`.

The last word is always the pid of the process that measures, with which this one ends.
"""

import sys
from pathlib import Path

from mzpipe.cluster import protocol
from mzpipe.runtime.process import die_with_parent

from .ends import PodEnd, new_runtime
from .transport import send_for_ever

# The gateway is silent while others have their turn.
_PATIENCE_S = 600.0


def play(home: str, runtimes: str, address: str, run_id: str) -> None:
    """A pod whose actor always has records, until the process is ended."""
    protocol.SILENCE_S = _PATIENCE_S
    pod = PodEnd(Path(runtimes), Path(home), new_runtime(Path(runtimes)), address, run_id)
    while True:
        pod.lap()


def main(what: str, *words: str) -> None:
    """Runs the program."""
    *words, parent_pid = words  # type: ignore[assignment]
    die_with_parent(int(parent_pid))
    if what == "play":
        play(*words)
    port, key, nbytes = words
    send_for_ever(int(port), key.strip("-"), int(nbytes))


if __name__ == "__main__":
    main(*sys.argv[1:])
