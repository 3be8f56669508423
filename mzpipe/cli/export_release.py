"""`mzpipe export --release RUN`: one checkpoint of a run as a small run directory of its own, with a card for people.

    DIR/profile.toml   every setting            DIR/scores.csv     the evaluations up to the checkpoint
    DIR/README.md      the card (cli/card.py)   DIR/checkpoints/   the checkpoint; `best` and `latest` name it

It has the model and no optimizer, and everything that plays a run plays it. DIR gets its name by one rename.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import Profile
from ..errors import InputOutputError, UsageError
from ..runs.checkpoint import BEST, LATEST, CheckpointStore
from ..runs.directory import RunDirectory, save_profile
from ..runs.scores import Evaluation, ScoresFile, read_scores
from ..telemetry.tensorboard import training_times
from ..trained.scores.read import read_eval_file
from ..trained.trained import TrainedAgent, load_agent
from .card import CARD, Card, card_text
from .profile_arguments import new_directory, refuse_existing

# What a file of `mzpipe eval --json` says beyond its score.
_EXAM: dict[str, tuple[type, ...]] = {
    "checkpoint": (str,),
    "weights_version": (int,),
    "returns": (list,),
    "seeds": (list,),
    "protocol_settings": (dict,),
}


def export_release(
    run: RunDirectory, profile: Profile, checkpoint: str | None, out: Path, eval_files: Sequence[Path]
) -> Card:
    """Writes a checkpoint (None: `best` if there is one, else `latest`) into `out`, a new directory.

    Raises UsageError when `out` exists, when the run has evaluated neither the checkpoint nor an earlier one, and when
    a file of `mzpipe eval --json` is about another checkpoint; CheckpointError when the checkpoint is missing, damaged
    or another model's; InputOutputError when a file cannot be read or written.
    """
    refuse_existing(out)
    agent = load_agent(run.path, profile, checkpoint)
    scores = _scores(run, agent)
    sessions = training_times(run.tensorboard, agent.env_steps or agent.learner_steps)
    name = (run.path if out.parent == run.path else out).resolve().name
    card = Card(name, agent, scores, sessions, [_exam(path, agent) for path in eval_files])
    loaded = CheckpointStore(run.checkpoints).load(agent.checkpoint)
    text = card_text(card)
    with new_directory(out) as draft:
        save_profile(profile, draft / run.profile.name)
        store = CheckpointStore(draft / run.checkpoints.name)
        store.save(agent.checkpoint, loaded._replace(optimizer={}), pointer=BEST)
        store.point(LATEST, agent.checkpoint)
        file = ScoresFile(draft / run.scores.name)
        for evaluation in scores:
            file.append(evaluation)
        (draft / CARD).write_text(text, encoding="utf-8")
    return card


def _scores(run: RunDirectory, agent: TrainedAgent) -> list[Evaluation]:
    """The evaluations up to the checkpoint."""
    scores = [each for each in read_scores(run.scores) if each.weights_version <= agent.weights_version]
    if not scores:
        interval = agent.profile.evaluator.interval_steps
        raise UsageError(
            f"{run.path}: {agent.checkpoint} has no score, and a release needs one: train on "
            f"(evaluator.interval_steps={interval}), or give another --checkpoint"
        )
    return scores


def _exam(path: Path, agent: TrainedAgent) -> dict[str, Any]:
    fields = read_eval_file(path, _EXAM)
    for name, kind in (("returns", float), ("seeds", int)):
        if not fields[name] or any(type(each) is not kind for each in fields[name]):
            raise InputOutputError(f"{path}: not written by mzpipe eval --json: {name} is {fields[name]!r:.80}")
    of = fields["checkpoint"], fields["weights_version"]
    if of != (agent.checkpoint, agent.weights_version):
        raise UsageError(f"--eval {path}: of {of[0]}, weights {of[1]}, not of {agent.checkpoint}, the one released")
    return fields
