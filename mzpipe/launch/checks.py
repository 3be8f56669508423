"""Every check of a run, which comes before its first file and its first process; `plan` and `train` make the same.

`check_profile` and `check_start` need only this process, `check_start` also a run that nobody else writes to;
`check_model` needs the sizes of the model, which only a process with torch can find out.
"""

import os
from pathlib import Path

from ..config import Profile, load_profile
from ..config.validate import chosen
from ..errors import CheckpointError, ConfigError, InputOutputError, PlanError, UsageError
from ..extras import EXTRAS, require
from ..games import GameSpec, describe_game, same_game, unused_settings
from ..loggers.known import check_name
from ..own_code import check_permission
from ..replay.journal import has_journal, read_journal
from ..runs.directory import RunDirectory, scratch_directory
from ..runs.initial import Initial, Source, read_source, spoken, take
from ..runs.resume import ResumePoint
from ..telemetry.loggers import Loggers
from .plan import ModelSizes, Plan, journal_layout, make_plan, mebibytes
from .roles import Devices


def check_profile(profile: Profile, run: RunDirectory | None, *, trace_events: int | None = None) -> GameSpec:
    """The game's spec, if the game can be made and the machine can hold what is known of the run without its model.

    A run that resumes with its own game takes the settings as they are.
    """
    if profile.network.is_own:
        check_permission("network.kind", profile.network.kind)
    game = describe_game(profile.game)
    if run is None or not _plays_as_before(profile, run):
        refuse_unused(profile, game)
    make_plan(profile, game, Devices.assumed(profile), ModelSizes(), trace_events=trace_events).check()
    _check_source(profile, game)
    _check_runtime(profile)
    for name in profile.telemetry.loggers:
        check_name(name)
    return game


def check_start(profile: Profile, game: GameSpec, run: RunDirectory, start: ResumePoint | None) -> None:
    """Raises what a resume would meet without a model: another game's checkpoint, another game's or a damaged journal.

    Of closed segments only sizes and headers are read: their records are checked when they are restored.
    """
    if start is not None:
        _check_game(profile, start)
    if not profile.replay.source and has_journal(run.journal):
        read_journal(run.journal, journal_layout(game))


def check_loggers(profile: Profile) -> None:
    """Raises what keeps a logger from being made; a run makes them itself, before its first file."""
    with scratch_directory("loggers") as directory, Loggers(profile.telemetry.loggers, directory) as loggers:
        loggers.await_ready()


def refuse_unused(profile: Profile, game: GameSpec) -> None:
    """Raises ConfigError for a setting without effect on this game, and for one that the game needs."""
    objections = [*unused_settings(profile.game), *game.objections]
    opponent = tuple(f"evaluator.opponent{each}" for each in ("", "_simulations", "_command", "_setup", "_seconds"))
    if game.num_players == 1:
        objections += (f"{choice}: {game.name} has one player: leave it out" for choice in chosen(profile, *opponent))
    if objections:
        raise ConfigError(objections[0])


def _plays_as_before(profile: Profile, run: RunDirectory) -> bool:
    """Whether the run was made with the same game and the same evaluations."""
    try:
        former = load_profile(run.profile)
    except ConfigError:
        return False
    return (profile.game, profile.evaluator) == (former.game, former.evaluator)


def find_source(profile: Profile, start: ResumePoint | None) -> Source | None:
    """The weights that the profile names for a new run; None for a run that resumes, or if it names none."""
    text = profile.learner.init_from
    return read_source(text) if text and start is None else None


def check_model(
    plan: Plan, run: RunDirectory | None, start: ResumePoint | None, source: Source | None
) -> Initial | None:
    """What is taken of the source, if there is one.

    Raises the error that would end the run later: for want of room, or because weights are another model's.
    """
    initial = _initial(plan, source) if source is not None else None
    plan.check(initial_bytes=initial.nbytes if initial else 0)
    if run is not None:
        _check_files(run)
        _check_disk(plan, run.path)
    if start is not None:
        _check_weights(plan, start)
    return initial


def _initial(plan: Plan, source: Source) -> Initial:
    is_same_game = source.game is not None and same_game(source.game, plan.profile.game.name)
    return take(source, plan.profile.learner.init_parts, plan.model.training_state, is_same_game=is_same_game)


def _check_source(profile: Profile, game: GameSpec) -> None:
    """Refuses a replay.from run that has no journal, another game's or a damaged one, or that is still writing it."""
    if not profile.replay.source:
        return
    source = RunDirectory(Path(profile.replay.source))
    if not has_journal(source.journal):
        raise UsageError(f"replay.from={profile.replay.source!r}: {source.journal} holds no journal to train on")
    source.refuse_live()
    read_journal(source.journal, journal_layout(game))


def _check_game(profile: Profile, start: ResumePoint) -> None:
    game, trained_on = profile.game, str(start.checkpoint.state.get("game"))
    if not same_game(trained_on, game.name):
        raise CheckpointError(
            f"{start.name} is of {trained_on}, game.name={game.name!r}: resume it with its own game, or give another "
            "--run-dir"
        )


def _check_runtime(profile: Profile) -> None:
    """Refuses an inference runtime that is named and not installed; "auto" takes torch in its place."""
    runtime = profile.inference.runtime
    if runtime in EXTRAS:
        require(runtime, f"inference.runtime={runtime!r}")


def _check_files(run: RunDirectory) -> None:
    """Raises InputOutputError if the run could not write where it is going to."""
    directories = (run.path, run.checkpoints, run.journal, run.logs, run.tensorboard)
    for path in (*directories, run.profile, run.scores):
        if path.exists() and not os.access(path, os.W_OK | (os.X_OK if path in directories else 0)):
            raise InputOutputError(f"{path}: cannot be written to: give another --run-dir, or change its mode")


def _check_disk(plan: Plan, path: Path) -> None:
    """Raises PlanError if the disk cannot hold what is written before anything is removed."""
    existing = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    free = os.statvfs(existing)
    free_bytes, needed = free.f_bavail * free.f_frsize, plan.first_disk_bytes()
    if needed > free_bytes:
        raise PlanError(
            f"{path}: two checkpoints and a part of the journal need {mebibytes(needed)} of its disk, "
            f"{mebibytes(free_bytes)} are free: make room, or give a --run-dir on another disk"
        )


def _check_weights(plan: Plan, start: ResumePoint) -> None:
    """Raises CheckpointError for a checkpoint of another model than the profile's."""
    found = {name: (str(array.dtype), array.shape) for name, array in start.checkpoint.weights.items()}
    wanted = {field.name: (field.dtype, tuple(field.shape)) for field in plan.model.training_state}
    differing = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"{start.name} is of another model: {name} is {spoken(found.get(name))}, the profile's model has "
            f"{spoken(wanted.get(name))}: resume it with its own [network], game and game.frame_stack, or give "
            "another --run-dir"
        )
