"""`mzpipe VERB ...`: parses, dispatches, and turns every error into one line and an exit code."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from types import ModuleType

from .. import __version__
from ..errors import ExitCode, MzpipeError
from ..games.own import allow_env_import
from ..runtime.environment import prepare_environment
from ..runtime.output import lasting_output

# Modules with add_arguments(parser) and run(arguments) -> int; loaded only when their verb is used.
VERBS = {
    "train": "train a profile, or resume a run",
    "plan": "say what training a profile would run and need, and start nothing",
    "top": "watch the stages of a running pipeline, or how a dead one stood at its last moment",
    "profile": "measure what every stage of a profile does with its time, and which one holds it back",
    "tune": "search for the topology that makes a profile fastest on this machine",
    "eval": "score a trained run by greedy games",
    "elo": "rate the checkpoints of a board game's run by games among them and against fixed opponents",
    "positions": "examine a board game's run in positions of known value",
    "record": "film greedy games of a trained run, with what the search of every move found",
    "inspect": "show one searched move of a trained run as a page: the tree, and what the model foresaw",
    "play": "play against a trained run: board games in the terminal or on a page, others by keyboard",
    "scores": "put runs' scores side by side: human-normalised, aggregated with intervals, beside published ones",
    "export": "write a run's trajectories as npz files, or its model as ONNX, for other programs",
    "bench": "measure mzpipe against named references on this machine",
    "check-env": "check a game, and suggest the supports of its values and rewards",
    "doctor": "check this machine and say what mzpipe can do on it",
    "clean": "remove what killed runs left in /dev/shm and in the kernel cache",
    "role": "one process of a run, started by hand (what bin/mzpipe-actor and its like call)",
}
# Verbs whose runs go on, and are drained and saved at their end, when their output can no longer be written.
_LASTING_VERBS = ("train", "profile", "tune")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = words[0] if words[:1] and words[0] in VERBS else ""
    with lasting_output() if verb in _LASTING_VERBS else nullcontext():
        return _run(words, verb)


def _run(words: list[str], verb: str) -> int:
    try:
        prepare_environment()
        parsed, module = _parse(words, verb)
        allow_env_import(getattr(parsed, "allow_env_import", False))
        return int(module.run(parsed))
    except MzpipeError as error:
        sys.stderr.write(f"{' '.join(filter(None, ['mzpipe', verb]))}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception:  # a process boundary: what nobody foresaw is a bug of ours, and says so by its exit code
        traceback.print_exc()
        return ExitCode.INTERNAL


def _parse(words: list[str], verb: str) -> tuple[argparse.Namespace, ModuleType]:
    """The parsed words and the module of their verb; leaves through SystemExit where they are wrong."""
    parser = argparse.ArgumentParser(prog="mzpipe", description="MuZero as a pipeline of processes that share memory.")
    parser.add_argument("--version", action="version", version=f"mzpipe {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    module = None
    for name, summary in VERBS.items():
        arguments = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == verb:
            module = import_module(f".{name.replace('-', '_')}", __package__)
            module.add_arguments(arguments)
    parsed = parser.parse_args(words)
    assert module is not None
    return parsed, module


if __name__ == "__main__":
    sys.exit(main())
