"""What the replay server takes from an actor: every number in a record is where it can be, or the record is refused.

Shape legend    N transitions of the record   A actions
"""

from collections.abc import Mapping

import numpy as np

from ..ipc.slots import TERMINATED, TRUNCATED, UNFINISHED

# A search policy is a float32 sum over at most 20,000 actions.
_SUM_TOLERANCE = 1e-2


def fault_of(record: Mapping[str, np.ndarray]) -> str | None:
    """What is wrong with a trajectory record, naming field, value and bound; None when nothing is."""
    capacity, num_actions = record["search_policy"].shape
    length, end = int(record["length"][0]), int(record["end"][0])
    if not 1 <= length <= capacity:
        return f"length={length}, not in 1 .. {capacity}"
    if end not in (UNFINISHED, TERMINATED, TRUNCATED):
        return f"end={end}, not in {UNFINISHED} .. {TRUNCATED}"
    if int(record["offset"][0]) < 0 or int(record["episode"][0]) < 0:
        return f"offset={int(record['offset'][0])}, episode={int(record['episode'][0])}: one is negative"
    return _fault_of_actions(record["action"][:length], num_actions) or _fault_of_numbers(record, length)


def _fault_of_actions(action_N: np.ndarray, num_actions: int) -> str | None:
    if action_N.min() < 0 or action_N.max() >= num_actions:
        return f"action {action_N.min()} .. {action_N.max()}, not in 0 .. {num_actions - 1}"
    return None


def _fault_of_numbers(record: Mapping[str, np.ndarray], length: int) -> str | None:
    for name in ("reward", "root_value", "search_policy", "frame"):
        if record[name].dtype.kind == "f" and not np.isfinite(record[name][:length]).all():
            return f"{name} holds NaN or infinity"
    if not np.isfinite(record["final_value"][0]):
        return f"final_value={record['final_value'][0]}"
    policy_NA = record["search_policy"][:length]
    if policy_NA.min() < 0.0 or np.abs(policy_NA.sum(1) - 1.0).max() > _SUM_TOLERANCE:
        return "search_policy is no distribution"
    return None
