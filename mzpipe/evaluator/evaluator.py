"""The evaluator: evaluates a published weights version in greedy games, and saves the best one.

Reads   lane responses, weights, the learner's step counter
Writes  lane requests, checkpoints/best
"""

from contextlib import nullcontext

import numpy as np

from ..errors import OpponentError
from ..games import Game, is_others_code, make_game
from ..ipc.calls import LongCall
from ..ipc.messages import Evaluated, Note
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.stages import Stage
from ..ipc.weights import PulledWeights, WeightsSubscriber
from ..planning import derive_seed, greedy_search, make_planner, signed_search
from ..runtime.agent import Agent
from ..runtime.context import RoleContext
from .best import BestCheckpoint
from .episodes import EvaluationGames, match_protocol
from .versus import make_episodes


class Evaluator(Agent):
    """Agent of role `evaluator`."""

    role = Role.EVALUATOR

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._learner = self._plane.counters(Member(Role.LEARNER, 0))
        self._best = BestCheckpoint(self._profile, self._plane.shape, context.storage.checkpoints, self._note)
        self._game: Game | None = None
        is_others = is_others_code(self._profile.game) or bool(self._profile.evaluator.opponent_command)
        self._in_game = self._in_long_call(LongCall.GAME) if is_others else nullcontext()
        self._endless_is_told = False

    def _note(self, line: str) -> None:
        self._control.send(Note(line))

    def on_start(self) -> None:
        """Builds the games."""
        profile, shape = self._profile, self._plane.shape
        (self._lane,) = self._plane.lane_clients(self._member)
        seed = derive_seed(profile.seed, self.role, self._epoch)
        self._game = game = make_game(profile.game, shape.evaluator_trees, seed, training=False)
        config = signed_search(profile.search, game.spec.num_players)
        config = greedy_search(config, profile.evaluator.num_simulations)
        sizes = {"num_trees": game.num_games, "num_actions": shape.num_actions}
        self._planner = make_planner(self._lane, config, profile.game, **sizes, seed=seed)
        self._episodes: EvaluationGames = make_episodes(profile, game, self._planner, seed)
        self._subscriber = WeightsSubscriber(self._plane.weights())
        self._number = 0
        self._due_steps = self._next_due(self._learner.get("learner_steps"))
        self._pulled: PulledWeights | None = None

    def do_work(self) -> int:
        """Continues an evaluation, or begins one when it is due."""
        if self._best.is_due:
            self._best.save_kept()
        if self._episodes.finished:
            if self._learner.get("learner_steps") < self._due_steps:
                return 0
            self._begin()
        try:
            with self._in_game:
                work_count = self._episodes.do_work()
        except OpponentError as error:
            self._give_up(error)
            return 1
        if self._episodes.endless is not None and not self._endless_is_told:
            self._endless_is_told = True
            self._note(self._episodes.endless)
        if work_count:
            self._clock.end(Stage.EVALUATION, self._episodes.take_moves())
        if self._planner.weights_version:
            self._hold_weights()
        if self._episodes.finished:
            self._finish()
        return work_count

    def on_close(self) -> None:
        """Frees the games; tries once more to save the best weights if they are not saved."""
        self._best.save_kept()
        if self._game is not None:
            self._episodes.close()
            self._game.close()

    def _next_due(self, learner_steps: int) -> int:
        interval = self._profile.evaluator.interval_steps
        return (learner_steps // interval + 1) * interval

    def _begin(self) -> None:
        self._number += 1
        self._lane.pin(self._number)
        self._planner.weights_version = 0
        self._pulled = None
        self._due_steps = self._next_due(self._learner.get("learner_steps"))
        with self._in_game:
            self._episodes.begin()

    def _give_up(self, error: OpponentError) -> None:
        """Ends an evaluation whose opponent failed; the next one begins with a new opponent."""
        self._note(f"{error}: this evaluation is given up, the next one is due at step {self._due_steps:,}")
        self._lane.pin(0)
        self._episodes.give_up()

    def _hold_weights(self) -> None:
        """Copies exactly the version under evaluation; starts over if that version is no longer published or served."""
        version = self._planner.weights_version
        if self._pulled is None:
            self._pulled = self._subscriber.pull(version)
        if (self._pulled is None or self._pulled.version != version) and self._planner.idle:
            self._begin()

    def _finish(self) -> None:
        self._lane.pin(0)
        game = self._game
        assert self._pulled is not None and game is not None
        returns = self._episodes.results.returns
        mean = float(np.mean(returns))
        with self._in_long_call(LongCall.SAVE):
            is_best = self._best.offer(self._pulled, mean)
        self._counters.add("evaluations")
        self._counters.set("weights_version", self._pulled.version)
        self._control.send(
            Evaluated(
                weights_version=self._pulled.version,
                learner_steps=self._pulled.learner_steps,
                env_steps=self._pulled.env_steps,
                return_mean=mean,
                return_std=float(np.std(returns)),
                episodes=len(returns),
                is_best=is_best,
                protocol=match_protocol(self._profile, game.spec.num_players),
            )
        )
