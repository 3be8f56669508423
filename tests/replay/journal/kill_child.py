"""Writes a journal until it is killed, and writes to its standard output what is durable."""

import sys
from pathlib import Path

from mzpipe.replay.journal import has_journal, read_journal

from .samples import append, begin


def main(directory: Path) -> None:
    former = None
    if has_journal(directory):
        former = read_journal(directory)
        former.repair()
    journal = begin(directory, former=former, segment_bytes=100_000, sync_records=64)
    serial, told = former.last_serial + 1 if former else 1, -1
    while True:
        append(journal, serial)
        serial += 1
        if serial % 50 == 0:
            journal.save_state({"step": serial}, {})
        if journal.durable_serial > told:
            told = journal.durable_serial
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()
            journal.forget(told - 3000)  # no serial above the last one that was written out


if __name__ == "__main__":
    main(Path(sys.argv[1]))
