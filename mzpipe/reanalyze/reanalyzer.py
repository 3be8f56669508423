"""The reanalyzer: searches stored positions again and has the target network value their bootstraps.

Reads   position_ring[j], lane responses, the learner's step counter
Writes  lane requests, target_ring[j]
Owns    its search trees
"""

import time
from collections import deque
from typing import cast

from ..games import WalkableGame, describe_game, make_game
from ..ipc.counters import WaitClock
from ..ipc.lane import LaneClient
from ..ipc.ring import RingReader, RingWriter
from ..ipc.roles import Role
from ..ipc.shape import LANES_PER_SEARCH, Member
from ..ipc.stages import Stage
from ..planning import derive_seed, make_planner, signed_search
from ..runtime.agent import Agent
from ..runtime.context import RoleContext
from .position_search import PositionSearch


class Reanalyzer(Agent):
    """Agent of role `reanalyzer`.

    It releases a slot of the position ring only once its targets are committed, so
    the successor of a killed reanalyzer repeats the unfinished searches.
    """

    role = Role.REANALYZER

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._search = signed_search(self._profile.search, describe_game(self._profile.game).num_players)
        self._learner = self._plane.counters(Member(Role.LEARNER, 0))
        self._replay_bell = self._plane.doorbell(Member(Role.REPLAY, 0))

    def on_start(self) -> None:
        """Attaches to the rings and makes a search per pair of lanes."""
        self._positions = RingReader(self._plane.position_ring(self._index))
        self._targets = RingWriter(self._plane.target_ring(self._index), epoch=self._epoch)
        lanes = self._plane.lane_clients(self._member)
        pairs = zip(lanes[::LANES_PER_SEARCH], lanes[1::LANES_PER_SEARCH], strict=True)
        self._searches = [self._make_search(number, *pair) for number, pair in enumerate(pairs)]
        self._active: deque[PositionSearch] = deque()  # in the order of their slots
        self._waits = WaitClock(self._counters)

    def do_work(self) -> int:
        """Takes every answer that has arrived, sends finished targets and begins new searches."""
        self._waits.lap()
        if self._active:
            self._waits.mark("busy")
        work_count = sum(search.advance() for search in self._active) + self._finish_oldest() + self._begin_next()
        if work_count:
            self._clock.add(Stage.REANALYZE, 0)
        return work_count

    def _make_search(self, number: int, search_lane: LaneClient, value_lane: LaneClient) -> PositionSearch:
        shape = self._plane.shape
        trees, seed = shape.trees_per_reanalyzer_lane, self._profile.seed
        planner = make_planner(
            search_lane,
            self._search,
            self._profile.game,
            num_trees=trees,
            num_actions=shape.num_actions,
            seed=derive_seed(seed, self.role, self._index, self._epoch, self._learner.get("learner_steps"), number),
        )
        games = None
        if self._search.model == "rules":
            games = cast(WalkableGame, make_game(self._profile.game, trees, seed=0))
            games.reset()
        return PositionSearch(planner, value_lane, num_trees=trees, games=games)

    def _begin_next(self) -> int:
        slot = self._positions.peek(ahead=len(self._active))
        idle = next((search for search in self._searches if search not in self._active and search.idle), None)
        if slot is None or idle is None:
            return 0
        idle.begin(slot, self._target_number())
        self._active.append(idle)
        return 1

    def _finish_oldest(self) -> int:
        if not self._active or not self._active[0].finished:
            return 0
        slot = self._targets.claim()
        if slot is None:
            self._counters.add("wait_out")
            self._clock.blocked()
            return 0
        rows = self._positions.peek()
        assert rows is not None
        self._counters.add("positions", int(rows.rows[0]))
        search = self._active.popleft()
        search.write(slot)
        self._clock.add(Stage.REANALYZE, int(rows.rows[0]))
        self._clock.took(Stage.REANALYZE, time.monotonic_ns() - search.begun_ns)
        self._targets.commit()
        self._positions.release()
        self._replay_bell.ring()
        return 1

    def _target_number(self) -> int:
        """A number that changes when the target network is due for new weights; never 0, which would unpin the lane."""
        return 1 + self._learner.get("learner_steps") // self._profile.reanalyze.target_interval
