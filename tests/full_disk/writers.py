"""Every writer of files that outlive a process: what it may do when the disk refuses, and what is there then.

A writer is made with a clear disk. `write` meets the refusal; it raises InputOutputError, or nothing where `is_quiet`.
`look` then finds the former contents or the new ones, whole. `again` writes once more with a clear disk, and finds the
new ones.
"""

import contextlib
import dataclasses
import itertools
import json
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mzpipe.cli.profile_arguments import new_directory, write_text
from mzpipe.cluster.keys import pod_key_path, read_head_keys, read_key, read_placed, run_keys, write_placed
from mzpipe.config import load_profile
from mzpipe.errors import InputOutputError, UsageError
from mzpipe.evaluator.best import BestCheckpoint
from mzpipe.ipc.messages import Evaluated
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import PulledWeights
from mzpipe.launch import roster
from mzpipe.launch.plan import ModelSizes
from mzpipe.launch.prepare import Memory
from mzpipe.launch.rehearsal import Prepared
from mzpipe.launch.silence import SilenceKeeper
from mzpipe.learner import faults
from mzpipe.loggers import LoggedRun
from mzpipe.loggers.jsonl import JsonlLogger
from mzpipe.loggers.memory import remembered
from mzpipe.replay.dataset import export_dataset, read_dataset
from mzpipe.replay.journal import read_journal
from mzpipe.replay.journal.counts import Counts
from mzpipe.replay.journal.segment_log import SegmentLog
from mzpipe.replay.journal.state import encode_state
from mzpipe.runs import directory as directory_module
from mzpipe.runs.checkpoint import BEST, LATEST, Checkpoint, CheckpointStore
from mzpipe.runs.directory import RunDirectory, save_profile
from mzpipe.runs.files import PrivateFileOperations, file_errors, replace_file
from mzpipe.runs.scores import ScoresFile, read_scores
from mzpipe.runtime.attended import AttendedClock
from mzpipe.sweep.directory import SweepDirectory
from mzpipe.sweep.jobs import LocalRunner
from mzpipe.sweep.spec import grid_spec
from mzpipe.telemetry import TensorBoardWriter
from mzpipe.telemetry.reports import Reached, Reports
from mzpipe.trained.video.encode import open_video
from tests.learner.test_learner import Bench
from tests.replay.journal.samples import LAYOUT, batch_of, closed_journal, serials_in
from tests.telemetry.samples import EVALUATION, training
from tests.tiny import make_plane, tiny_profile

FORMER, NEW = b"former" * 100, b"new" * 300


class Writer:
    """One writer, in a directory of its own; `beside` is another directory, on a disk that never refuses."""

    is_quiet = keeps_files_open = has_failed = False

    def __init__(self, home: Path, beside: Path) -> None:
        self.home, self.beside = home, beside
        self.lines: list[str] = []
        self.prepare()

    def prepare(self):
        """Makes the former contents."""

    def close(self):
        """Frees what the writer holds."""


class File(Writer):
    def prepare(self):
        replace_file(self.home / "file", FORMER)

    def write(self):
        with file_errors("write", self.home):
            replace_file(self.home / "file", NEW)

    def look(self):
        assert (self.home / "file").read_bytes() in (FORMER, NEW)

    def again(self):
        self.write()
        assert (self.home / "file").read_bytes() == NEW


def checkpoint(n):
    state = dict.fromkeys(("env_steps", "learner_steps", "weights_version"), n)
    return Checkpoint({"w": np.full(50, n, np.float32)}, {"m": np.full(50, n, np.float32)}, state)


class NextCheckpoint(Writer):
    """Checkpoint 2 after 1, which may go then."""

    second = "step_00000002"

    def prepare(self):
        self.store = CheckpointStore(self.home)
        self.store.save("step_00000001", checkpoint(1), pointer=LATEST)

    def write(self):
        self.store.save(self.second, checkpoint(2), pointer=LATEST)
        self.store.prune(keep=1)

    def look(self):
        assert self.store.load(LATEST).weights["w"][0] in (1, 2)
        for name in self.store.names():
            self.store.load(name)

    def again(self):
        self.write()
        assert self.store.load(LATEST).weights["w"][0] == 2


class SameCheckpoint(NextCheckpoint):
    """The same step again."""

    second = "step_00000001"


class Best(Writer):
    is_quiet = True

    def prepare(self):
        shape = SimpleNamespace(model_state=(("weight", "float32", (50,)),))
        self.best = BestCheckpoint(tiny_profile(), shape, self.home, self.lines.append)
        assert self.offer(1)

    def offer(self, n):
        return self.best.offer(PulledWeights(n, n, n, np.full(50, n, np.float32)), float(n))

    def write(self):
        assert self.offer(2)

    def saved(self):
        return CheckpointStore(self.home).load(BEST).state["return_mean"]

    def look(self):
        assert self.saved() in (1.0, 2.0)

    def again(self):
        self.best.save_kept()
        assert self.saved() == 2.0


SECOND = dataclasses.replace(EVALUATION, learner_steps=4_000)


class Scores(Writer):
    def prepare(self):
        self.path, self.file = self.home / "scores.csv", ScoresFile(self.home / "scores.csv")
        self.file.append(EVALUATION)

    def write(self):
        self.file.append(SECOND)

    def look(self):
        assert read_scores(self.path) in ([EVALUATION], [EVALUATION, SECOND])

    def again(self):
        if self.has_failed:
            self.write()
        assert read_scores(self.path) == [EVALUATION, SECOND]


class Profile(Writer):
    def prepare(self):
        self.path = self.home / "profile.toml"
        save_profile(tiny_profile("seed=3"), self.path)

    def write(self):
        save_profile(tiny_profile("seed=4"), self.path)

    def look(self):
        assert load_profile(self.path).seed in (3, 4)

    def again(self):
        self.write()
        assert load_profile(self.path).seed == 4


def curve(directory):
    """The steps of one curve, as TensorBoard reads them."""
    if not directory.exists():
        return []
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()
    return [point.step for point in events.Scalars("perf/env_steps_per_s")] if events.Tags()["scalars"] else []


class Curves(Writer):
    """A point after another one; no file is left that holds none."""

    def prepare(self):
        self.writer = TensorBoardWriter(self.home / "tensorboard")
        self.write_before()

    def write_before(self):
        self.writer.write(training(env_steps=1_000))

    def write(self):
        self.writer.write(training(env_steps=2_000))

    def look(self):
        assert curve(self.home / "tensorboard") in ([], [1_000], [1_000, 2_000], [2_000])

    def again(self):
        self.writer.write(training(env_steps=3_000))
        assert curve(self.home / "tensorboard")[-1] == 3_000

    def close(self):
        self.writer.close()


class FirstCurves(Curves):
    """The first point of a session."""

    def write_before(self):
        pass


class SupervisorsFiles(Writer):
    """Curves and scores, as a run's supervisor writes them: nothing is raised, nothing of the scores is lost."""

    is_quiet = True

    def prepare(self):
        profile, run = tiny_profile(), RunDirectory(self.home / "run")
        run.path.mkdir()
        plane = make_plane(self.beside, profile)
        self.run, view = run, SimpleNamespace(line=self.lines.append, update=lambda snapshot: None)
        self.reports = Reports(profile, plane, run, view, Reached(100, 0, None))

    def write(self):
        for steps in (40, 80):
            self.reports.evaluation(Evaluated(3, steps, 500, 12.5, 1.0, 2, False, "greedy"))
        self.reports.tick(lambda: "")

    def rows(self):
        return [evaluation.learner_steps for evaluation in read_scores(self.run.scores)]

    def look(self):
        assert self.rows() in ([], [40], [40, 80])

    def again(self):
        self.reports.close()
        assert self.rows() == [40, 80]
        assert curve(self.run.tensorboard)
        for what in ("curves", "scores"):
            told = [
                sum(line.count(text) for line in self.lines) for text in (f"{what} are tried", f"{what} are written")
            ]
            assert told in ([0, 0], [1, 1]), self.lines


LOGGED = LoggedRun(name="run", directory=Path(), profile={}, metrics=(), env_steps=1, learner_steps=1)


class MetricLines(Writer):
    """A line after others, of which the session that begins drops some."""

    def prepare(self):
        self.path = self.home / "metrics.jsonl"
        self.log(JsonlLogger(), LOGGED, 1, 9)
        self.logger = JsonlLogger()
        self.logger.open(dataclasses.replace(LOGGED, directory=self.home))

    def log(self, logger, run, *steps):
        logger.open(dataclasses.replace(run, directory=self.home))
        for step in steps:
            logger.log({"loss/total": 1.0}, step, step, 0.0)
        logger.close()

    def write(self):
        self.logger.log({"loss/total": 2.0}, 2, 2, 0.0)

    def steps(self):
        return [json.loads(line)["env_steps"] for line in self.path.read_text().splitlines()]

    def look(self):
        with contextlib.suppress(json.JSONDecodeError):  # the line that was cut short, which the next one removes
            assert self.steps() in ([1, 9], [1], [1, 2])

    def again(self):
        self.logger.log({"loss/total": 3.0}, 3, 3, 0.0)
        assert self.steps() in ([1, 3], [1, 2, 3])

    def close(self):
        self.logger.close()


class LoggersWord(Writer):
    """The id of a run, which a logger remembers."""

    def write(self):
        remembered(dataclasses.replace(LOGGED, directory=self.home), "wandb", lambda: "word")

    def look(self):
        path = self.home / "loggers" / "wandb"
        assert not path.exists() or path.read_text() == "word\n"

    def again(self):
        self.write()
        assert (self.home / "loggers" / "wandb").read_text() == "word\n"


class FirstBadBatch(Writer):
    is_quiet = True

    def prepare(self):
        self.watch = faults.FaultWatch(self.home)

    def write(self):
        self.watch.bad({"reward": np.array([np.nan])}, 7)

    def look(self):
        for path in self.home.glob("*.npz"):
            with np.load(path) as kept:
                assert np.isnan(kept["reward"])

    def again(self):
        self.write()
        assert list(self.home.glob("*.npz")) and self.watch.batch.startswith("is in")


class Lock(Writer):
    def prepare(self):
        directory_module.SHARED_MEMORY = self.beside
        self.run = RunDirectory(self.home / "run")

    def write(self):
        with self.run.locked() as locked, locked.runtime() as live:
            assert self.run.live() == live

    def look(self):
        assert not self.run.is_held()
        with contextlib.suppress(UsageError):
            self.run.live()

    def again(self):
        self.write()


class Log(Writer):
    """The log of a process: it is started in any case."""

    is_quiet = True

    def prepare(self):
        self.roster = roster.Roster([Member("actor", 0)], tiny_profile(), self.home, self.home, self.lines.append)

    def write(self):
        outputs = []
        roster.spawn = lambda arguments, *, environment, log: outputs.append(Path(log.name))
        self.roster.start(self.roster.entries[0])
        (self.output,) = outputs

    def look(self):
        assert (self.output == Path("/dev/null")) == (len(self.lines) == 1)

    def again(self):
        self.write()
        assert self.output == self.home / "actor-0.log"


class Stacks(Writer):
    """The stack of a silent process: it is asked for in any case."""

    is_quiet = True

    def prepare(self):
        self.signals, child = [], SimpleNamespace(signal=lambda number: self.signals.append(number))
        self.entry = roster.Entry(Member("actor", 0), child=child)
        self.keeper = SilenceKeeper(None, None, self.home, None, 1.0, AttendedClock())

    def write(self):
        self.keeper._write_stack(self.entry, SimpleNamespace(seconds=1.0))

    def look(self):
        assert len(self.signals) == 2

    def again(self):
        self.write()
        assert b"the stack of every thread" in (self.home / "actor-0.log").read_bytes()


class JournalFiles(Writer):
    is_quiet = True

    def prepare(self):
        self.path, self.counts, self.second = self.home / "journal", Counts(), itertools.count()
        self.path.mkdir()
        self.log = SegmentLog(
            self.path, LAYOUT, self.counts, segment_bytes=1200, retry_s=1.0, operations=PrivateFileOperations()
        )

    def write(self):
        for serial in range(1, 9):
            self.step(serial)
        self.log.save_state(encode_state({"step": 1}, {"serial": np.arange(4)}))
        self.log.forget(3)

    def step(self, serial):
        now_s = next(self.second)
        self.log.resume(now_s)
        self.log.write(deque(batch_of(serial)), now_s)
        self.log.sync(now_s)

    def look(self):
        if (self.path / "manifest.json").exists():
            assert set(serials_in(read_journal(self.path, LAYOUT))) <= set(range(1, 9))

    def again(self):
        self.step(20)
        assert 20 in serials_in(read_journal(self.path, LAYOUT))

    def close(self):
        self.log.close(next(self.second))


class Dataset(Writer):
    def prepare(self):
        self.contents, self.path = read_journal(closed_journal(self.beside / "journal", count=5)), self.home / "set"

    def write(self):
        export_dataset(self.contents, self.path, game="CartPole-v1", discount=0.99)

    def look(self):
        if self.path.exists():
            assert sum(len(arrays["actions"]) for arrays in read_dataset(self.path)) == 15

    def again(self):
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(self.home / "first")  # the refusal came after the name, as far as that can be known
        self.write()
        self.look()


class Graphs(Writer):
    def write(self):
        with new_directory(self.home / "graphs") as draft:
            for name in ("a.onnx", "b.onnx"):
                (draft / name).write_bytes(NEW)

    def look(self):
        assert not (self.home / "graphs").exists() or sorted(
            path.name for path in (self.home / "graphs").iterdir()
        ) == ["a.onnx", "b.onnx"]

    def again(self):
        if not (self.home / "graphs").exists():
            self.write()
        self.look()


class Release(Graphs):
    """A directory of several files that gets its name last, as a release does."""


class SweepsIdentity(Writer):
    spec = grid_spec({"seed": [0, 1]})

    def prepare(self):
        self.directory = SweepDirectory(self.home / "sweep")

    def write(self):
        with self.directory.locked():
            self.directory.claim(self.spec, tiny_profile())

    def look(self):
        if (self.home / "sweep" / "sweep.json").exists():
            assert self.directory.spec().parameters == self.spec.parameters

    def again(self):
        self.write()
        self.look()


class TrialsLog(Writer):
    """The log that a trial's run prints into; its own words are the run's to lose."""

    def prepare(self):
        self.runner = LocalRunner(1, program=("mzpipe.runtime.follow",))

    def write(self):
        job = self.runner.start("trial-0", (), self.home / "trial-0.log")
        job.close()

    def look(self):
        assert len(self.runner.free_shares) == 1

    def again(self):
        self.write()
        self.look()


class Film(Writer):
    suffix = ".gif"

    def write(self):
        pictures = np.random.default_rng(0).integers(0, 255, (3, 16, 32, 3), np.uint8)
        with open_video(self.home / f"film{self.suffix}", (32, 16), 10, "") as add:
            for picture in pictures:
                add(picture)

    def look(self):
        for path in self.home.glob("film*"):
            assert path.stat().st_size > 500

    def again(self):
        self.write()
        assert list(self.home.glob("film*"))


class Mp4(Film):
    suffix = ".mp4"
    keeps_files_open = True  # PyAV does so after a failed write, and the command ends


class NamedFile(Writer):
    """A file that the user names is written without a draft."""

    def write(self):
        write_text(self.home / "file", "text" * 1000, "--json")

    def look(self):
        pass

    def again(self):
        self.write()
        assert (self.home / "file").read_text() == "text" * 1000


class RememberedRehearsal(Writer):
    is_quiet = True

    def prepare(self):
        self.memory, self.prepared = Memory(self.home, "key"), Prepared(ModelSizes(), 1, 2, 3, ("cpu",), ("cpu",))

    def write(self):
        self.memory.keep(self.prepared)

    def look(self):
        assert self.memory.recall() in (None, self.prepared)

    def again(self):
        self.write()
        assert self.memory.recall() == self.prepared


class LearnersCheckpoints(Writer):
    """A learner that saves after each step, and goes on."""

    is_quiet = True
    benches: ClassVar[dict[Path, Bench]] = {}

    def prepare(self):
        if self.home not in self.benches:
            self.benches[self.home] = Bench(self.home, "learner.checkpoint_interval=1", "learner.keep_checkpoints=1")
        self.bench = self.benches[self.home]
        self.steps = self.bench.get("learner_steps")

    def write(self):
        self.bench.train(1)

    def look(self):
        assert self.bench.get("learner_steps") == self.steps + 1
        assert self.bench.store.load(LATEST).state["learner_steps"] in (self.steps, self.steps + 1)

    def again(self):
        self.bench.train(1)
        assert self.bench.store.load(LATEST).state["learner_steps"] == self.steps + 2


class InPlace(File):
    """A planted fault: without a draft."""

    def write(self):
        with file_errors("write", self.home):
            (self.home / "file").write_bytes(NEW)


class Raw(File):
    """A planted fault: an error that is not one of mzpipe's."""

    def write(self):
        replace_file(self.home / "file", NEW)


class Once(Scores):
    """A planted fault: what was refused is not tried again."""

    is_quiet = True

    def write(self):
        with contextlib.suppress(InputOutputError):
            super().write()


class Keys(Writer):
    """The keys of a second pod: the head knows no pod whose file is missing."""

    def prepare(self):
        run_keys(self.home, 1)

    def write(self):
        run_keys(self.home, 2)

    def look(self):
        known = read_head_keys(self.home).pods
        assert len(known) in (1, 2)
        assert [read_key(pod_key_path(self.home, pod)).public for pod in range(len(known))] == list(known)

    def again(self):
        self.write()
        self.look()
        assert len(read_head_keys(self.home).pods) == 2


class PlacedKeys(Writer):
    """The keys of placed pods, replaced as a whole."""

    def prepare(self):
        run_keys(self.home, 1)
        self.key = read_key(pod_key_path(self.home, 0)).public
        write_placed(self.home, {0: self.key})

    def write(self):
        write_placed(self.home, {0: self.key, 1: self.key})

    def look(self):
        assert read_placed(self.home) in ({0: self.key}, {0: self.key, 1: self.key})

    def again(self):
        self.write()
        assert len(read_placed(self.home)) == 2


PLANTED = (InPlace, Raw, Once)
WRITERS = {
    "runs/files.py": (File,),
    "runs/checkpoint.py": (NextCheckpoint, SameCheckpoint),
    "evaluator/best.py": (Best,),
    "runs/scores.py": (Scores,),
    "runs/directory.py": (Profile, Lock),
    "telemetry/tensorboard.py": (Curves, FirstCurves),
    "telemetry/reports.py": (SupervisorsFiles,),
    "loggers/jsonl.py": (MetricLines,),
    "loggers/memory.py": (LoggersWord,),
    "learner/faults.py": (FirstBadBatch,),
    "learner/learner.py": (LearnersCheckpoints,),
    "launch/roster.py": (Log,),
    "launch/silence.py": (Stacks,),
    "launch/prepare.py": (RememberedRehearsal,),
    "cluster/keys.py": (Keys, PlacedKeys),
    "replay/journal": (JournalFiles,),
    "replay/dataset.py": (Dataset,),
    "cli/export_onnx.py": (Graphs,),
    "cli/export_release.py": (Release,),
    "sweep/directory.py": (SweepsIdentity,),
    "sweep/jobs.py": (TrialsLog,),
    "cli/profile_arguments.py": (NamedFile,),
    "trained/video/encode.py": (Film, Mp4),
}
