"""Starting the peer."""

import contextlib
import subprocess
import sys


@contextlib.contextmanager
def peer(what, directory, *arguments):
    """The peer process, killed at the end if it still runs."""
    process = subprocess.Popen([sys.executable, "-m", "tests.ipc.peer", what, str(directory), *map(str, arguments)])
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(120)
