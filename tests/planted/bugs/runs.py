"""Bugs of the supervisor, the files of a run, and the figures about it."""

from ..bug import Bug

BUGS = (
    Bug(
        "start-leaves-its-own-leftover",
        "launch/train.py",
        "    for path in sweep_leftovers(locked.directory.path):\n",
        "    for path in sweep_leftovers():\n",
        "A start sweeps what its own former session has left.",
        ("launch/test_train",),
    ),
    Bug(
        "sweep-forgets-counts",
        "runs/directory.py",
        "        if not (try_lock(descriptor) and _keep_counts(path, own)):\n",
        "        if not try_lock(descriptor):\n",
        "What a killed run has lost is told, whoever sweeps its counters.",
        ("launch/test_last_moment",),
    ),
    Bug(
        "lanes-of-the-dead",
        "launch/supervisor.py",
        "            self._plane.release_lanes(member)\n",
        "            pass\n",
        "The lanes of a process that died no longer hold weights.",
        ("launch/test_supervisor",),
    ),
    Bug(
        "stop-without-checkpoint",
        "launch/supervisor.py",
        "        self._save_checkpoint()\n        self._raise_stage(LAST_STAGE)\n",
        "        self._raise_stage(LAST_STAGE)\n",
        "A stop asks the learner for a checkpoint once the sources have ended, and before the learner is told to end.",
        ("launch/test_supervisor",),
    ),
    Bug(
        "restart-budget",
        "launch/roster.py",
        "    if len(deaths_s) > RESTART_BUDGET:\n",
        "    if len(deaths_s) >= RESTART_BUDGET:\n",
        "A process is started again as often as its budget says.",
        ("launch/test_roster", "launch/test_supervisor"),
    ),
    Bug(
        "pruned-though-pointed-at",
        "runs/checkpoint.py",
        "            if name not in pointed and not (",
        "            if not (",
        "A checkpoint that a pointer names is never removed.",
        ("runs/test_checkpoint",),
    ),
    Bug(
        "draft-not-synced-as-name",
        "runs/files.py",
        "        operations.rename(draft, path)\n        operations.sync_directory(path.parent)\n",
        "        operations.sync_directory(path.parent)\n        operations.rename(draft, path)\n",
        "A file's new name is on disk when its replacement returns.",
        ("runs/test_files", "runs/test_checkpoint"),
    ),
    Bug(
        "roots-as-simulations",
        "telemetry/rates.py",
        "    simulations = int(items_S[Stage.TREE] - items_S[Stage.ROOT_SEARCH])\n",
        "    simulations = int(items_S[Stage.TREE])\n",
        "The answer to a search's root is not a simulation.",
        ("telemetry/test_rates",),
    ),
    Bug(
        "warm-up-in-ratio",
        "telemetry/metrics.py",
        "_ratio(sampled, inserted - recent.profile.replay.min_size_to_sample)",
        "_ratio(sampled, inserted)",
        "Samples per insert leave out the warm-up, in which nothing is sampled.",
        ("telemetry/test_snapshots",),
    ),
)
