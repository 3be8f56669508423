"""The card of a release: what it plays, how well and measured how, what it was made from, and what it cannot do."""

import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from ..config import score_protocol
from ..format import duration
from ..games import GameSpec
from ..measure.machine import UNKNOWN, commit, host
from ..runs.scores import Evaluation
from ..trained.trained import TrainedAgent
from ..version import __version__
from .eval import spoken_outcomes

CARD = "README.md"
_PACKAGES = ("torch", "numpy")


class Card(NamedTuple):
    """What a card tells."""

    name: str
    agent: TrainedAgent
    # The run's evaluations up to the checkpoint, oldest first, and its sessions: first and last wall time in seconds.
    scores: Sequence[Evaluation]
    sessions: Sequence[tuple[float, float]]
    # The fields of files of `mzpipe eval --json` about the checkpoint.
    exams: Sequence[Mapping[str, Any]]


def card_text(card: Card) -> str:
    """The card, as Markdown."""
    game = card.agent.game
    parts = [
        [f"# {card.name}: a trained run of {game.name}"],
        _table(("", ""), _facts(card)),
        ["## Score"],
        _table(("games", "score", "measured"), _score_rows(card)),
        [" ".join(_uses(card))],
        ["## What it cannot do"],
        [f"- {line}" for line in _limits(card)],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _facts(card: Card) -> Iterator[tuple[str, str]]:
    agent, profile = card.agent, card.agent.profile
    yield "game", agent.game.description
    yield "trained", ", ".join(_training(card))
    yield "checkpoint", f"{agent.checkpoint}: {agent.env_steps:,} env steps, {agent.learner_steps:,} learner steps"
    yield "settings", f"[profile.toml](profile.toml), all of them; seed {profile.seed}"
    yield "plays with", f"{agent.search.num_simulations} simulations a move ({profile.search.policy})"
    yield "released by", ", ".join([_mzpipe(), *(f"{name} {version(name)}" for name in _PACKAGES), _python()])
    yield "licence", "MIT, as mzpipe"


def _training(card: Card) -> Iterator[str]:
    """When, how long and where; no duration if the run has no curves."""
    if card.sessions:
        yield datetime.fromtimestamp(card.sessions[-1][1], UTC).strftime("%Y-%m-%d")
        yield duration(sum(last - first for first, last in card.sessions))
    yield host()


def _mzpipe() -> str:
    found = commit()
    return f"mzpipe {__version__}" + ("" if found == UNKNOWN else f" at commit {found}")


def _python() -> str:
    return f"Python {platform.python_version()}"


def _score_rows(card: Card) -> Iterator[tuple[str, str, str]]:
    agent, last = card.agent, card.scores[-1]
    for exam in card.exams:
        games = f"{len(exam['returns'])}, {exam['protocol']}"
        yield games, _score(agent.game, exam["returns"]), f"`{_command(card, exam)}`"
    how = f"the run's own evaluation at {last.learner_steps:,} learner steps ([scores.csv](scores.csv))"
    if len(card.scores) > 1 and last.return_mean == max(each.return_mean for each in card.scores):
        how += f", the highest of {len(card.scores)}: it was chosen for it, so a part of it is luck"
    yield f"{last.episodes}, {last.protocol}", _mean(last.return_mean, last.return_std), how


def _score(game: GameSpec, returns: Sequence[float]) -> str:
    mean = _mean(float(np.mean(returns)), float(np.std(returns)))
    return f"{spoken_outcomes(returns)}; mean {mean}" if game.num_players == 2 else mean


def _mean(mean: float, deviation: float) -> str:
    return f"{mean:.2f} +- {deviation:.2f}"


def _command(card: Card, exam: Mapping[str, Any]) -> str:
    """What plays the same games again."""
    profile, game = card.agent.profile, card.agent.game
    settings, seeds = exam["protocol_settings"], exam["seeds"]
    opponent, playouts = settings.get("opponent"), settings.get("opponent_simulations")
    simulations = exam.get("num_simulations", card.agent.search.num_simulations)  # files of older versions lack it
    engine = tuple(settings.get("opponent_command", ()))
    every_line, evaluator = opponent == "every_line", profile.evaluator
    options = {
        "--protocol": exam["protocol"]
        if game.num_players == 1 and exam["protocol"] != score_protocol(profile.game)
        else 0,
        "--episodes": 0 if every_line else len(exam["returns"]) // len(seeds),
        "--seeds": len(seeds) if len(seeds) > 1 else 0,
        "--seed": seeds[0],
        "--opponent": opponent if opponent != evaluator.opponent else 0,
        "--opponent-simulations": playouts if playouts != evaluator.opponent_simulations else 0,
        "--opponent-command": shlex.join(engine) if engine != evaluator.opponent_command else 0,
        "--simulations": simulations if simulations != card.agent.search.num_simulations else 0,
    }
    words = [str(word) for option in options.items() if option[1] for word in option]
    words += ["--allow-env-import"] if engine else []
    return shlex.join(["mzpipe", "eval", card.name, *words])


def _uses(card: Card) -> Iterator[str]:
    name, is_board = shlex.quote(card.name), card.agent.game.num_players == 2
    if not card.exams:
        other_games = "" if is_board else " --episodes 30 --seed 1000"
        yield f"`mzpipe eval {name}{other_games}` scores it again."
    yield f"`mzpipe play {name} --web` plays against it." if is_board else f"`mzpipe record {name}` films it."


def _limits(card: Card) -> Iterator[str]:
    agent = card.agent
    yield "It plays no other game, and this one only under the rules of profile.toml."
    if agent.game.num_players == 2:
        yield "It is as strong as the table says, against that opponent; nothing says more."
    yield f"It is one run, of seed {agent.profile.seed}: runs of other seeds end higher or lower."
    yield "It has neither an optimizer nor a replay table, so training does not simply resume from it."


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
