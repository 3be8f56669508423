"""Measures the ceilings of a profile; runs one program per role, one after the other."""

from pathlib import Path

from ...config import Profile
from ...errors import UsageError
from ...launch.plan import num_threads
from ...launch.program import run_program
from ...launch.signals import Outcome, SignalPipe, signal_outcome
from ...runs.directory import RunDirectory, save_profile
from ...telemetry import View
from ...telemetry.report import ProfileReport
from . import Ceilings, make_ceilings
from .alone import roles_alone
from .program import read_alone

PROGRAM = "mzpipe.measure.ceilings.program"


def refuse_without_actors(profile: Profile) -> None:
    """Raises UsageError for a profile without actors, because ceilings are in env steps."""
    if profile.replay.source:
        raise UsageError(f"--ceilings are in env steps, and with replay.from={profile.replay.source!r} none are played")


def measure_ceilings(
    profile: Profile, report: ProfileReport, run: RunDirectory, seconds: float, view: View
) -> Outcome | Ceilings:
    """The ceilings of the pipeline that `report` is about; an Outcome if a signal ended the measurement.

    Raises UsageError if the pipeline played nothing while the report was made.
    """
    if report.env_steps_per_s == 0.0:
        raise UsageError("--ceilings are in env steps, and none were played: raise --seconds")
    alone, below = {}, None
    with SignalPipe() as signals, run.locked() as locked, locked.runtime() as live:
        save_profile(profile, run.profile)
        directory = Path(live.runtime_directory)
        for role in roles_alone(report.roles):
            view.line(f"{role} alone ...")
            words = [str(run.profile), str(directory), role, str(seconds)]
            threads = num_threads(profile, role)
            run_program(PROGRAM, words, directory, signals, what=f"ceiling of {role}", num_threads=threads)
            stopped = signal_outcome(signals, "stopped while roles were measured alone")
            if stopped is not None:
                return stopped
            alone[role], found = read_alone(directory, role)
            below = found or below
    assert below is not None
    return make_ceilings(report, alone, below)
