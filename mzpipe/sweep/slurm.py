"""Submits the runs of trials to SLURM by submitit; a job that is preempted or out of time is queued again and resumes.

DIR/slurm/trial-0007/   began: the job runs      stop: it shall end in order      code: its exit code
                        job: its number          *_log.out, *_submitted.pkl: submitit's own

The sweep and its jobs share only these files. Jobs outlive a sweep that is killed; the next one takes them up again.
"""

import contextlib
import os
import select
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ExitCode, InputOutputError, UsageError
from ..reading import read_file
from ..runs.files import file_errors, remove_any, replace_file
from ..runtime.environment import child_environment
from ..runtime.process import Child, spawn
from .jobs import TRAIN

if TYPE_CHECKING:
    import submitit

_FOLDER = "slurm"
_BEGAN, _STOP, _CODE, _JOB = "began", "stop", "code", "job"
_DAY_MINUTES = 1440
_LOOK_S = 1.0
# Those that submitit has for every cluster; it names all others slurm_NAME.
_GENERAL = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node")
# `local` is submitit's stand-in for a cluster.
_CLUSTERS = ("slurm", "local")


class Train:
    """The call that a job makes: `mzpipe train`, from whatever the run directory holds."""

    def __init__(self, folder: Path, words: Sequence[str], log: Path, program: Sequence[str] = TRAIN) -> None:
        self.folder, self.words, self.log, self.program = folder, words, log, program

    def __call__(self) -> int:
        """Runs it to its end; returns and keeps its exit code."""
        (self.folder / _BEGAN).touch()
        code = int(ExitCode.TERMINATED) if self._is_stopped() else self._run()
        replace_file(self.folder / _CODE, str(code).encode())
        return code

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """Ends the run in order, because the job must end; returns the same call for the job's next time."""
        from submitit.helpers import DelayedSubmission

        self._child.signal(signal.SIGTERM)
        select.select([self._child.pidfd], [], [])
        return DelayedSubmission(Train(self.folder, self.words, self.log, self.program))

    def _run(self) -> int:
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        with open(self.log, "ab") as output:
            arguments = ["mzpipe.runtime.follow", str(os.getpid()), cores, *self.program, *self.words]
            self._child: Child = spawn(arguments, environment=child_environment(1), log=output)
        is_asked = False
        while not select.select([self._child.pidfd], [], [], _LOOK_S)[0]:
            if not is_asked and self._is_stopped():
                is_asked = True
                self._child.signal(signal.SIGTERM)
        return self._child.reap()

    def _is_stopped(self) -> bool:
        return (self.folder / _STOP).exists()


class SlurmRunner:
    """Submits runs; `settings` are the cluster's, as `--slurm` has them."""

    def __init__(self, directory: Path, settings: Mapping[str, str], program: Sequence[str] = TRAIN) -> None:
        """Raises UsageError for what submitit does not know, or without a cluster."""
        import submitit

        self._folder, self._program, given = directory / _FOLDER, program, dict(settings)
        cluster = given.pop("cluster", "slurm")
        if cluster not in _CLUSTERS:
            raise UsageError(f"--slurm cluster={cluster}: not one of {', '.join(_CLUSTERS)}")
        if cluster == "slurm" and submitit.SlurmExecutor.affinity() <= 0:
            raise UsageError("--slurm: there is no srun here: start the sweep where SLURM's commands are installed")
        parameters = {"timeout_min": _DAY_MINUTES, "name": "mzpipe"} | {
            name if name in _GENERAL else f"slurm_{name}": _value(text) for name, text in given.items()
        }
        try:
            self._executor = submitit.AutoExecutor(folder=self._folder / "%j", cluster=cluster)
            self._executor.update_parameters(**parameters)
        except (NameError, AssertionError, ValueError) as error:
            raise UsageError(f"--slurm: {str(error).splitlines()[0]}") from None

    def is_live(self, name: str) -> bool:
        """See Runner.is_live."""
        job = self._former(name)
        return job is not None and job.code() is None

    def start(self, name: str, words: Sequence[str], log: Path) -> "SlurmJob":
        """See Runner.start; takes up a job that was submitted for the trial before."""
        former = self._former(name)
        if former is not None and former.code() is None:
            return former
        folder = self._folder / name
        with file_errors("write", folder):
            folder.mkdir(parents=True, exist_ok=True)
            for each in (_BEGAN, _STOP, _CODE, _JOB):
                remove_any(folder / each)
            job = self._executor.submit(Train(folder, list(words), log, self._program))
            replace_file(folder / _JOB, job.job_id.encode())
        return SlurmJob(folder, job)

    def _former(self, name: str) -> "SlurmJob | None":
        folder = self._folder / name
        try:
            number = read_file(folder / _JOB, 64).decode(errors="replace")
        except InputOutputError:
            return None
        if not number.isdecimal():
            return None
        return SlurmJob(folder, self._executor.job_class(self._folder / "%j", number))


class SlurmJob:
    """A job of the cluster."""

    # Only its files and the cluster say how it is.
    descriptor = None

    def __init__(self, folder: Path, job: "submitit.Job[int]") -> None:
        self._folder, self._job = folder, job

    def code(self) -> int | None:
        """See Job.code; a job that has vanished counts as killed."""
        is_done = self._job.done()
        with contextlib.suppress(InputOutputError, ValueError):
            return int(read_file(self._folder / _CODE, 16))
        return -signal.SIGKILL if is_done else None

    def signal(self, number: int) -> None:
        """Ends the job in order at SIGTERM, and takes it from the queue if it has not begun."""
        if number != signal.SIGTERM:
            return
        (self._folder / _STOP).touch()
        if not (self._folder / _BEGAN).exists():
            self._job.cancel(check=False)

    def close(self) -> None:
        """See Job.close."""


def parse_settings(text: str) -> dict[str, str]:
    """The settings of `--slurm partition=gpu,timeout_min=600`; raises UsageError."""
    settings = dict(each.partition("=")[::2] for each in text.split(",") if each)
    if not all(name.isidentifier() and value for name, value in settings.items()):
        raise UsageError(f"--slurm {text}: write it as partition=gpu,timeout_min=600")
    return settings


def _value(text: str) -> Any:
    return int(text) if text.isdecimal() else text
