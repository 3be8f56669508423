"""Bugs of actors and reanalyzers."""

from ..bug import Bug

BUGS = (
    Bug(
        "capped-search-keeps-its-policy",
        "actor/lane_group.py",
        "policy_GA if self._planner is self._full else np.zeros_like(policy_GA)",
        "policy_GA",
        "A move that had a fast search is no policy target.",
        ("actor/test_actor",),
    ),
    Bug(
        "last-node-of-another-planner",
        "planning/__init__.py",
        "        self._legal_actions = legal_actions_BA\n        self._prepare()\n",
        "        self._legal_actions = legal_actions_BA\n",
        "The server releases a lane's weights at the last node of the search under way, whichever planner began it.",
        ("planning/test_lane_planner",),
    ),
    Bug(
        "resigned-game-without-outcome",
        "actor/lane_group.py",
        "            next_value_G = np.where(resigned_G, _WON, next_value_G)\n",
        "",
        "A resigned game bootstraps from its outcome, not from the search's value.",
        ("actor/test_resignation",),
    ),
    Bug(
        "truncation-wins",
        "actor/recorder.py",
        "np.where(terminated_G, TERMINATED, np.where(truncated_G, TRUNCATED, UNFINISHED))",
        "np.where(truncated_G, TRUNCATED, np.where(terminated_G, TERMINATED, UNFINISHED))",
        "An episode that ends by the rules at the limit's last move is terminated.",
        ("actor/test_recorder",),
    ),
    Bug(
        "temperature-one-move-longer",
        "actor/lane_group.py",
        "self._length_G < self._temperature_moves",
        "self._length_G <= self._temperature_moves",
        "Exactly the first temperature_moves moves of a game are drawn; the others are greedy.",
        ("actor/test_actor",),
    ),
    Bug(
        "player-after-move",
        "actor/lane_group.py",
        "            to_play=self._to_play,\n",
        "            to_play=self._game.to_play(),\n",
        "A transition names the player who made its move.",
        ("actor/test_actor", "actor/test_recorder"),
    ),
    Bug(
        "bootstrap-with-reward",
        "actor/lane_group.py",
        "        return (q_G - reward_G) / np.float32(self._discount)\n",
        "        return q_G / np.float32(self._discount)\n",
        "The value from which a cut trajectory bootstraps is that of the next state, without the reward before it.",
        ("actor/test_actor",),
    ),
    Bug(
        "group-released-before-targets",
        "reanalyze/reanalyzer.py",
        "        self._targets.commit()\n        self._positions.release()\n",
        "        self._positions.release()\n        self._targets.commit()\n",
        "A reanalyzer releases a group only once its targets are committed, so a kill loses none.",
        ("reanalyze/test_reanalyzer",),
    ),
    Bug(
        "target-number-zero",
        "reanalyze/reanalyzer.py",
        '        return 1 + self._learner.get("learner_steps") //',
        '        return self._learner.get("learner_steps") //',
        "A reanalyzer's value lane is pinned to the target network from the first step on.",
        ("reanalyze/test_reanalyzer", "reanalyze/test_reanalysis"),
    ),
)
