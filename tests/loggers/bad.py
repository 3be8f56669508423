"""Loggers that do what other people's code may do; each logs three points as it should before it does."""

import ctypes
import os
import signal
import sys
import time

GOOD_POINTS = 3


class Good:
    """Writes what it is called with to `calls.txt` in the run directory."""

    def open(self, run):
        self.run, self.points = run, 0
        self.note("open", run.env_steps)

    def log(self, values, env_steps, learner_steps, time):
        self.points += 1
        if self.points > GOOD_POINTS:
            self.go_bad()
        self.note("log", env_steps)

    def close(self):
        self.note("close")

    def go_bad(self):
        pass

    def note(self, *words):
        with open(self.run.directory / "calls.txt", "a") as file:
            file.write(f"{' '.join(map(str, words))}\n")


class RaisesWhenMade:
    def __init__(self):
        raise ValueError("no\nwords")


class ExitsWhenMade:
    def __init__(self):
        sys.exit("no account")


class DiesWhenMade:
    def __init__(self):
        os._exit(3)


class HangsWhenMade:
    def __init__(self):
        hold_the_interpreter()


class Half:
    def open(self, run):
        pass


class RaisesAtOpen(Good):
    def open(self, run):
        raise ConnectionError("no network")


class Raises(Good):
    def go_bad(self):
        raise ConnectionError("no network")


class RaisesNow(Good):
    """Raises now and then."""

    def go_bad(self):
        if self.points % 2:
            raise ConnectionError("no network")


class Exits(Good):
    def go_bad(self):
        sys.exit(1)


class Dies(Good):
    def go_bad(self):
        os._exit(7)


class Crashes(Good):
    def go_bad(self):
        os.kill(os.getpid(), signal.SIGSEGV)


class ClosesEverything(Good):
    """As a daemon does at its start."""

    def go_bad(self):
        os.closerange(3, 256)


class Hangs(Good):
    def go_bad(self):
        time.sleep(3600.0)


class HangsInC(Good):
    """Holds the interpreter's lock, so that no other thread of its process runs."""

    def go_bad(self):
        hold_the_interpreter()


class HangsAtOnce(Good):
    def log(self, values, env_steps, learner_steps, time):
        hold_the_interpreter()


class Babbles(Good):
    """Prints what is no text, to both streams and to the descriptors themselves, and reads what nobody types."""

    def go_bad(self):
        sys.stderr.write("\x1b[2J\n")
        os.write(1, bytes(range(256)) * 100)
        assert sys.stdin.read() == ""


class RaisesAtClose(Good):
    def close(self):
        raise ConnectionError("no network")


class HangsAtClose(Good):
    def close(self):
        hold_the_interpreter()


def hold_the_interpreter():
    ctypes.PyDLL(None).sleep(3600)
