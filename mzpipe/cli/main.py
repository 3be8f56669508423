"""`mzpipe VERB ...`: parses, dispatches, and turns every error into one line and an exit code."""

import argparse
import atexit
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

from ..errors import ExitCode, InputOutputError, MzpipeError, MzpipeWarning
from ..extras import missing_extras
from ..format import printable
from ..own_code import allow_own_code
from ..runtime.devices import device_errors
from ..runtime.environment import prepare_environment
from ..runtime.output import lasting_output
from ..runtime.process import end_process
from ..runtime.surroundings import mend, refuse_few_files
from ..version import __version__

# Modules with add_arguments(parser) and run(arguments) -> int; loaded only when their verb is used.
VERBS = {
    "train": "train a profile, or resume a run",
    "pod": "play for a run that trains on another machine: an inference server with actors and reanalyzers",
    "profiles": "list the profiles that come with mzpipe, and what was reached with them",
    "config": "explain the settings of profiles, or compare two profiles",
    "plan": "print the processes and memory that training a profile needs, and start nothing",
    "top": "watch the stages of a running pipeline, or show the last state of a dead one",
    "profile": "measure how every stage of a profile spends its time, and which one is the bottleneck",
    "tune": "search for the topology that makes a profile fastest on this machine",
    "sweep": "search settings for the best return, or train seeds x games: many runs with one command",
    "eval": "score a trained run with greedy games",
    "elo": "rate the checkpoints of a board game's run with games among them and against fixed opponents",
    "positions": "test a board game's run in positions of known value",
    "record": "film greedy games of a trained run, with the search of every move",
    "inspect": "show one searched move of a trained run as a page: the tree, and the model's forecast",
    "play": "play against a trained run: board games in the terminal or on a page, others by keyboard",
    "scores": "compare runs' scores: human-normalised, aggregated with intervals, next to published ones",
    "export": "write a run's trajectories as npz files, or its model as ONNX, for other programs",
    "bench": "measure mzpipe against named references on this machine",
    "check-env": "check a game, and suggest the supports of its values and rewards",
    "check-network": "check a network, mzpipe's or your own: its promises, what runs it, its speed",
    "doctor": "check this machine and print what mzpipe can use on it",
    "clean": "remove what killed runs left in /dev/shm and in the kernel cache",
    "role": "start one process of a run by hand (bin/mzpipe-actor and the like call this)",
}
# Verbs that start runs. These go on, and are drained and saved, when their output can no longer be written.
_LASTING_VERBS = ("train", "pod", "profile", "tune", "sweep")
# A killed process that has not ended by then is stuck in the kernel, and is left to it.
_DEATH_S = 5.0
# Verbs that read lines from a terminal, which Python edits only with its own stream.
_TALKING_VERBS = ("play",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, by default that of the command line; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = words[0] if words[:1] and words[0] in VERBS else ""
    threads, children = set(threading.enumerate()), set(multiprocessing.active_children())
    sys.stderr.writelines(f"mzpipe: {line}\n" for line in mend())
    with lasting_output() if verb not in _TALKING_VERBS else nullcontext() as output:
        code = _run(words, verb)
    if output is not None and output.has_failed and verb not in _LASTING_VERBS and code == ExitCode.FINISHED:
        code = ExitCode.INPUT_OUTPUT
    # What a game has left behind would keep this process for ever.
    left = set(multiprocessing.active_children()) - children
    for child in left:
        child.kill()
        child.join(_DEATH_S)
    if arguments is None and (left or any(not each.daemon for each in set(threading.enumerate()) - threads)):
        end_process(code)
    return code


def module_of(verb: str) -> ModuleType:
    """The module of a verb; imports it."""
    return import_module(f".{verb.replace('-', '_')}", __package__)


def _run(words: list[str], verb: str) -> int:
    try:
        if verb in _LASTING_VERBS:
            refuse_few_files()
        fault = _prepare(verb)
        with missing_extras():
            parsed, module = _parse(words, verb)
            parsed.cache_fault = fault
            allow_own_code(getattr(parsed, "allow_env_import", False))
            with device_errors(), _warnings(verb):
                return int(module.run(parsed))
    except MzpipeError as error:
        _say(verb, error)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception:  # a process boundary: an unexpected error is a bug in mzpipe, and the exit code says so
        traceback.print_exc()
        return ExitCode.INTERNAL


def _say(verb: str, what: object) -> None:
    sys.stderr.write(printable(f"{' '.join(filter(None, ['mzpipe', verb]))}: {what}\n"))


@contextmanager
def _warnings(verb: str) -> Iterator[None]:
    """Makes an MzpipeWarning one line, and shows it once; other warnings stay as Python shows them."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", MzpipeWarning)
        show = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, MzpipeWarning):
                _say(verb, message)
            else:
                show(message, category, *place, **more)

        warnings.showwarning = show_line
        yield


def _prepare(verb: str) -> str:
    """Prepares the environment; returns what is wrong with the kernel cache, for `doctor`, which works without one."""
    try:
        prepare_environment()
    except InputOutputError as error:
        if verb != "doctor":
            raise
        os.environ["XDG_CACHE_HOME"] = folder = tempfile.mkdtemp(prefix="mzpipe-doctor-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        del os.environ["NUMBA_CACHE_DIR"]
        prepare_environment()
        return str(error)
    return ""


def _parse(words: list[str], verb: str) -> tuple[argparse.Namespace, ModuleType]:
    """The parsed words and the module of their verb; raises SystemExit if they are wrong."""
    parser = argparse.ArgumentParser(prog="mzpipe", description="MuZero as a pipeline of processes that share memory.")
    parser.add_argument("--version", action="version", version=f"mzpipe {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    module = None
    for name, summary in VERBS.items():
        arguments = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == verb:
            module = module_of(name)
            module.add_arguments(arguments)
    parsed = parser.parse_args(words)
    assert module is not None
    return parsed, module


if __name__ == "__main__":
    sys.exit(main())
