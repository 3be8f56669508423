"""Likeness: whether runs may be put together, by the protocol and the env steps of their scores.

All games with figures are one group, since they are aggregated; every other game is a group of its own.
"""

from collections.abc import Iterator, Sequence

from ..games.figures import STEPS_100K, atari_figures
from .run import Run

# Runs end between two evaluations, so their env steps are never quite the same.
_ALIKE = 1.1
_NAMED = 3


def differences(runs: Sequence[Run]) -> list[str]:
    """In what runs that are put together differ, a line for each; none where all of them are alike."""
    return [line for name, group in _groups(runs) for line in (*_protocols(name, group), *_budgets(name, group))]


def published_budget(runs: Sequence[Run]) -> list[str]:
    """A line where Atari runs had other env steps than the published agents beside which they stand."""
    env_steps = [run.env_steps for run in runs if run.game in atari_figures()]
    if not env_steps or (max(env_steps) <= _ALIKE * STEPS_100K and _ALIKE * min(env_steps) >= STEPS_100K):
        return []
    spans = " to ".join(f"{steps:,}" for steps in dict.fromkeys((min(env_steps), max(env_steps))))
    return [f"published agents had {STEPS_100K:,} env steps, these runs {spans}"]


def _groups(runs: Sequence[Run]) -> Iterator[tuple[str, list[Run]]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault("Atari" if run.game in atari_figures() else run.game, []).append(run)
    yield from groups.items()


def _protocols(name: str, group: list[Run]) -> Iterator[str]:
    protocols = list(dict.fromkeys(run.protocol for run in group))
    if len(protocols) > 1:
        each = [f"{one} ({_listed([run.name for run in group if run.protocol == one])})" for one in protocols]
        yield f"{name}: protocols differ: {', '.join(each)}"


def _budgets(name: str, group: list[Run]) -> Iterator[str]:
    least, most = (pick(group, key=lambda run: run.env_steps) for pick in (min, max))
    if most.env_steps > _ALIKE * least.env_steps:
        yield (
            f"{name}: env steps differ by more than {_ALIKE - 1.0:.0%}: "
            f"{least.env_steps:,} ({least.name}) to {most.env_steps:,} ({most.name})"
        )


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
