"""The actor: plays training games with search over its lanes.

Reads   lane responses, the learner's step counter
Writes  lane requests, trajectory_ring[i]
Owns    its games and search trees
"""

from contextlib import ExitStack, nullcontext

import numpy as np

from ..games import is_others_code, make_game
from ..ipc.calls import LongCall
from ..ipc.lane import LaneClient
from ..ipc.messages import Note
from ..ipc.ring import RingWriter
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..planning import derive_seed, greedy_search, make_planner, signed_search
from ..runtime.agent import Agent, Turns
from ..runtime.context import RoleContext
from .endless import EndlessEpisodes
from .lane_group import LaneGroup, Played, PlayoutCaps
from .recorder import Recorder
from .resignation import FalseResigns, Resignation


class Actor(Agent):
    """Agent of role `actor`."""

    role = Role.ACTOR

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._learner = self._plane.counters(Member(Role.LEARNER, 0))
        self._replay_bell = self._plane.doorbell(Member(Role.REPLAY, 0))
        self._groups: list[LaneGroup] = []
        self._games = ExitStack()

    def on_start(self) -> None:
        """Builds the games of every lane."""
        self._ring = self._plane.trajectory_ring(self._index)
        self._writer = RingWriter(self._ring, epoch=self._epoch)
        self._false_resigns = FalseResigns(self._profile.actor, self._counters, self._note)
        lanes = self._plane.lane_clients(self._member)
        self._groups += (self._make_group(number, lane) for number, lane in enumerate(lanes))
        self._turns = Turns(len(self._groups))
        self._endless = EndlessEpisodes(self._groups, self._note)

    def do_work(self) -> int:
        """Takes every answer that has arrived and begins the next moves; lanes write to the ring in turn."""
        work_count = 0
        for number in self._turns.order():
            committed = self._writer.sequence
            work_count += self._advance(self._groups[number])
            if self._writer.sequence != committed:
                self._turns.served(number)
        return work_count

    def drain(self) -> bool:
        """Hands over the moves played so far, as far as the ring has room; returns False if some are left."""
        unfinished = [group for group in self._groups if not group.hand_over()]
        self._replay_bell.ring()
        return not unfinished

    def on_close(self) -> None:
        """Hands over what the ring still takes, and frees the games of every lane, whatever happens to another's."""
        with self._games:
            self.drain()

    def _make_group(self, number: int, lane: LaneClient) -> LaneGroup:
        profile, num_games = self._profile, self._plane.shape.trees_per_lane
        # A session that resumes at learner step n must not repeat the games that began at step 0.
        path = (self.role, self._index, self._epoch, self._learner.get("learner_steps"), number)
        game = make_game(profile.game, num_games, derive_seed(profile.seed, *path, "game"))
        self._games.callback(game.close)
        search = signed_search(profile.search, game.spec.num_players)
        seed = derive_seed(profile.seed, *path, "search")
        trees = {"num_trees": num_games, "num_actions": game.spec.num_actions, "seed": seed}
        caps = None
        if profile.actor.fast_simulations:
            fast = make_planner(lane, greedy_search(search, profile.actor.fast_simulations), profile.game, **trees)
            caps = PlayoutCaps(fast, profile.actor.full_search_fraction)
        planner = make_planner(lane, search, profile.game, **trees)
        recorder = Recorder(self._plane.shape, self._writer, num_games=num_games, first_game=number * num_games)
        rng = np.random.default_rng(derive_seed(profile.seed, *path, "action"))
        below, resignation = profile.actor.resign_below, None
        if below is not None:
            resignation = Resignation(profile.actor, below, self._false_resigns, num_games, rng)
        return LaneGroup(
            game,
            planner,
            recorder,
            self._clock,
            self._in_long_call(LongCall.GAME) if is_others_code(profile.game) else nullcontext(),
            discount=search.discount,
            temperature_moves=profile.actor.temperature_moves,
            rng=rng,
            caps=caps,
            resignation=resignation,
        )

    def _advance(self, group: LaneGroup) -> int:
        if group.blocked():
            self._counters.add("wait_out")
            self._clock.blocked()
            return 0
        if group.begin():
            return 1
        if not group.answered():
            return 0
        played = group.advance(self._temperature)
        if played is not None:
            self._count(played)
            self._endless.moved()
            self._clock.skip()
        return 1

    def _note(self, line: str) -> None:
        self._control.send(Note(line))

    def _count(self, played: Played) -> None:
        counters = self._counters
        counters.add("env_steps", played.moves)
        counters.add("simulations", played.simulations)
        counters.add("episodes", played.episodes)
        counters.add("episode_return", played.returns)
        counters.add("episode_length", played.lengths)
        counters.set("queue_fill", self._ring.fill())
        self._replay_bell.ring()

    def _temperature(self) -> float:
        """The temperature at this point of the training."""
        limit = self._profile.stop.learner_steps
        passed = self._learner.get("learner_steps") / limit if limit else 0.0
        schedule = zip(self._profile.actor.temperature_fractions, self._profile.actor.temperatures, strict=True)
        return [temperature for fraction, temperature in schedule if passed >= fraction][-1]
