"""What a healthy run's curves look like, in words, where a range of numbers would not do.

What is measured comes from docs/results/2026-11-30-curves.md, of Pong with six actions and batches of 64.
"""

from collections.abc import Mapping

_SLOWER = "near 1 where {} the bottleneck"

# By tag. Other curves have a range in their declaration, or nothing that all healthy runs have in common.
HEALTHY: Mapping[str, str] = {
    "charts/episodic_return": "rises, with steps back",
    "loss/total": "falls, then levels off; that alone does not show that the run learns",
    "loss/policy": "falls, then levels off",
    "loss/value": "falls, then levels off; may rise while returns grow",
    "loss/reward": "falls, then levels off",
    "perf/device_time/ROLE": "above `perf/host_time/ROLE`; below it the role is launch-bound",
    "loss/afterstate": "falls, then levels off at the spread of what chance pays",
    "loss/code": "falls, then levels off at the entropy of chance",
    "replay/transitions": "grows to the table's capacity, then stays",
    "replay/samples_per_insert": "within a tenth of its target",
    "replay/insert_wait": _SLOWER.format("the learner is"),
    "replay/sample_wait": _SLOWER.format("actors are"),
    "replay/reanalyze_wait": "near 0",
    "replay/learner_wait": _SLOWER.format("the learner is"),
    "replay/journal_bytes": "grows until the table is full, then stays",
    "replay/stale_priorities": "near 0 (Pong: 0.001)",
    "replay/evicted": "near 0 (Pong: 0.0003)",
    "staleness/weights_versions": "levels off once the table is full",
    "reanalyze/fraction": "that of `reanalyze.fraction`",
    "targets/value_error": "falls; may rise while returns grow (Pong: from 0.28 to 0.10; 0.40 where it stood still)",
    "learner/policy_entropy": "falls and levels off above 0 (Pong: from 1.8 to 0.65 and more)",
    "learner/search_policy_entropy": "below that of the network, and above 0 (Pong: 0.5 to 0.8)",
    "learner/value_error/K": "falls, and is not much greater at the last K than at 0 (Pong: 0.11 and 0.10)",
    "learner/reward_error/K": "falls",
    "learner/state_spread": "levels off above 0 (Pong: 0.13 to 0.19)",
    "learner/played_gap": "falls within some thousand steps (Pong, at the root alone: from 0.3 to 0.07, at times 0.11)",
    "learner/sample_size": "above half of the batch (Pong: 56 to 39 of 64)",
    "learner/gradient_norm/PART": "below `learner.max_grad_norm` (Pong: 0.2 to 0.5 of 5)",
    "stage/actor/queue_fill": _SLOWER.format("the learner is"),
    "stage/replay sample/queue_fill": _SLOWER.format("the learner is"),
    "stage/STAGE/busy": "near 1 in one role, which is the bottleneck: the sum of its stages",
    "eval/return_mean": "rises; single evaluations may fall out",
    "eval/elo": "rises from checkpoint to checkpoint",
}
