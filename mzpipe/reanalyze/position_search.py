"""PositionSearch: searches one batch of stored positions over one lane and values their bootstraps over another.

Shape legend    T positions searched in lockstep   A actions
"""

import time

from ..games import WalkableGame
from ..ipc.lane import LaneClient, RequestKind
from ..ipc.schema import FreshTargets, Positions
from ..planning import LanePlanner
from ..search import SearchResult


class PositionSearch:
    """`begin` with a slot of the position ring, `advance` until `finished`, `write` into a slot of the target ring.

    The search runs on the newest weights, like every search. The value lane stays on the
    version that it is pinned to (see LaneClient.pin), which is the target network.
    """

    def __init__(
        self, planner: LanePlanner, value_lane: LaneClient, *, num_trees: int, games: WalkableGame | None = None
    ) -> None:
        """`games`, one for each tree, replay what came before the positions, where the search needs it."""
        self._planner, self._value_lane, self._num_trees, self._games = planner, value_lane, num_trees, games
        value_lane.prepare(last_node=0)
        self._result: SearchResult | None = None
        self.begun_ns = 0  # on the monotonic clock

    @property
    def idle(self) -> bool:
        """Whether a search may begin: none is running and no answer is outstanding."""
        return self._planner.idle and self._value_lane.ready()

    @property
    def finished(self) -> bool:
        """Whether `write` has everything."""
        return self._result is not None and self._value_lane.ready()

    def begin(self, slot: Positions, target_number: int) -> None:
        """Copies the positions into both lanes and sends requests; a new target_number takes newer target weights."""
        lane, trees = self._value_lane, self._num_trees
        self.begun_ns = time.monotonic_ns()
        self._result, self._ticket = None, int(slot.ticket[0])
        self._planner.observation[:] = slot.observation
        if self._games is None or slot.history is None:
            self._planner.begin(slot.legal_actions)
        else:
            self._games.replay({row: history[history >= 0] for row, history in enumerate(slot.history)})
            self._planner.begin(self._games.legal_actions(), self._games)  # rows without a position have a game too
        lane.observation[:trees] = slot.bootstrap_observation
        lane.pin(target_number)
        lane.request(RequestKind.ROOT, node_index=0, num_rows=trees)

    def advance(self) -> int:
        """Takes an answer of the search if one is there; never waits."""
        if not self._planner.answered:
            return 0
        self._result = self._planner.advance()
        return 1

    def write(self, slot: FreshTargets) -> None:
        """Fills a slot of the target ring; `finished` must be true."""
        assert self._result is not None
        lane = self._value_lane
        lane.taken()
        slot.ticket[0] = self._ticket
        slot.search_version[0], slot.bootstrap_version[0] = self._planner.weights_version, lane.weights_version
        slot.search_policy[:] = self._result.search_policy_BA
        slot.root_value[:] = self._result.root_value_B
        if slot.candidates is not None and self._planner.candidates_BAD is not None:
            slot.candidates[:] = self._planner.candidates_BAD.reshape(slot.candidates.shape)
        slot.bootstrap_value[:] = lane.value[: self._num_trees]
