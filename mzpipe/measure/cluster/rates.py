"""What one process of each role does at most, as `mzpipe profile PROFILE --ceilings --json F` measured it."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import InputOutputError, UsageError
from ...format import printable
from ...ipc.roles import Role
from ...reading import read_json

_MAX_BYTES = 16 << 20
_NEEDED = (Role.ACTOR, Role.INFERENCE, Role.REPLAY, Role.LEARNER)


class Rates(NamedTuple):
    """Env steps a second: of one actor, one inference server, the replay server, and the learner with all its ranks.

    The learner's are the env steps that it pays for at the profile's samples_per_insert.
    """

    actor: float
    inference: float
    replay: float
    learner: float
    # Which measurement they are from, in words.
    source: str = ""


def read_rates(path: Path) -> Rates:
    """The rates in a file of `profile --json`; raises UsageError if it is none, or was made without --ceilings."""
    try:
        fields = read_json(path, _MAX_BYTES)
    except InputOutputError as error:
        raise UsageError(f"--measured {error}") from None
    ceilings = fields.get("ceilings") if isinstance(fields, dict) else None
    roles = ceilings.get("roles") if isinstance(ceilings, dict) else None
    if not isinstance(roles, dict):
        raise UsageError(
            f"--measured {path}: it has no ceilings: make it by mzpipe profile PROFILE --ceilings --json F"
        )
    source = ", ".join(printable(str(fields.get(name, "?"))[:80]) for name in ("profile", "host", "date"))
    actor, inference, replay, learner = (_rate(path, roles, role) for role in _NEEDED)
    return Rates(actor, inference, replay, learner, source)


def _rate(path: Path, roles: dict[str, Any], role: Role) -> float:
    """Of one process, but of all ranks of the learner; infinite where the measured run needed nothing of a role."""
    try:
        fields = roles[role]
        rate, processes = fields["env_steps_per_s"], 1 if role == Role.LEARNER else int(fields["processes"])
        each = math.inf if rate is None else float(rate) / processes
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise UsageError(f"--measured {path}: ceilings.roles.{role}: no rate of processes in it") from None
    if not each > 0.0 or (role == Role.ACTOR and math.isinf(each)):
        raise UsageError(f"--measured {path}: ceilings.roles.{role}: {each:g} env steps a second: measure it again")
    return each
