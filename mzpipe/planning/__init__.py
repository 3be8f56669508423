"""Planning: searches a batch of trees over one inference lane."""

import dataclasses
import zlib
from enum import Enum, auto
from typing import Protocol, cast

import numpy as np

from ..config import GameConfig, SearchConfig
from ..errors import SearchInputError
from ..games import Game, WalkableGame
from ..ipc.lane import LaneClient, RequestKind
from ..search import BatchedSearch, SearchResult, sample_action
from .rules import RulesModel, rules_bytes


class _State(Enum):
    IDLE = auto()
    ROOT = auto()
    SIMULATION = auto()


class Planner(Protocol):
    """The planner of evaluation games: fill `observation`, `begin`, then `advance` until it returns a result."""

    # Stacked observations of the roots [B, ...].
    observation: np.ndarray
    # Where actions are vectors: those that the last search chose from, [B, A, D]; else None.
    candidates_BAD: np.ndarray | None

    @property
    def idle(self) -> bool:
        """Whether a search may begin."""

    @property
    def answered(self) -> bool:
        """Whether `advance` has something to do."""

    def begin(self, legal_actions_BA: np.ndarray, games: Game | None = None) -> None:
        """Begins the search of every root, the current position of one of the games.

        Only a search by the game's own rules (`search.model`) needs the games.
        """

    def advance(self) -> SearchResult | None:
        """Continues the search; returns the result at its end, else None."""

    def best_action(self) -> np.ndarray:
        """action_B int32: what the last search would play."""


class LanePlanner:
    """One search at a time: `begin`, then `advance` until it returns a result.

    Planners may share a lane, if each begins only while no other's search is under way. A search has one weights
    version. If its server dies, it begins anew, from the same roots, with the next server.
    """

    _masked = False

    def __init__(self, lane: LaneClient, config: SearchConfig, *, num_trees: int, num_actions: int, seed: int) -> None:
        self._lane, self._config, self._num_trees = lane, config, num_trees
        self._search = BatchedSearch(
            config,
            batch_size=num_trees,
            num_actions=num_actions,
            num_codes=lane.policy_logits.shape[-1] - num_actions,  # all that the network knows besides the actions
            seed=seed,
            masked=self._masked,
            parent_index_B=lane.parent_index[:num_trees],  # selected edges go straight into the request
            action_B=lane.action[:num_trees],
        )
        # The lane's first rows hold the answers; stacked observations of roots are written there before `begin`.
        self._reward, self._value, self._policy_logits = (
            array[:num_trees] for array in (lane.reward, lane.value, lane.policy_logits)
        )
        self.observation = lane.observation[:num_trees]
        self.candidates_BAD = None if lane.candidates_TAD is None else lane.candidates_TAD[:num_trees]
        self._prepare()
        self._state = _State.IDLE
        self._legal_actions: np.ndarray | None = None
        self._node_index = 0
        self.weights_version = 0

    @property
    def idle(self) -> bool:
        """Whether a search may begin: none is running and no answer is outstanding."""
        return self._state is _State.IDLE and self._lane.ready()

    def begin(self, legal_actions_BA: np.ndarray, games: Game | None = None) -> None:
        """Asks for the roots' inference; `observation` must be filled."""
        self._legal_actions = legal_actions_BA
        self._prepare()
        self._ask_roots()

    def advance(self) -> SearchResult | None:
        """Takes the answer if it is there and sends the next request; returns the result at the end, else None.

        Raises SearchInputError for an answer that is not finite.
        """
        if self._state is _State.IDLE or not self._lane.ready():
            return None
        lane = self._lane
        lane.taken()
        try:
            if self._state is _State.ROOT:
                self.weights_version = lane.weights_version
                self._search.begin(self._policy_logits, self._value, self._legal_actions)
                self._state, self._node_index = _State.SIMULATION, 0
            elif lane.weights_version != self.weights_version:
                self._ask_roots()
                return None
            else:
                self._search.backup(*self._outputs())
        except SearchInputError as error:
            raise SearchInputError(f"{error}; {self._asked()}") from error
        if self._node_index == self._config.num_simulations:
            self._state = _State.IDLE
            return self._search.result()
        self._simulate()
        return None

    def choose(self, result: SearchResult, temperature: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """action_B int32 to play after `result`: drawn from the visits for pUCT, the search's own choice for Gumbel.

        `temperature` is one number or one per tree. Gumbel ignores it, because its noise already explores.
        """
        if self._config.policy == "gumbel":
            return self._search.best_action()
        return sample_action(result.visits_BA, temperature, rng)

    def best_action(self) -> np.ndarray:
        """action_B int32: what the last search would play, without drawing for pUCT."""
        return self._search.best_action()

    @property
    def answered(self) -> bool:
        """Whether the answer to the outstanding request has arrived."""
        return self._state is not _State.IDLE and self._lane.ready()

    @property
    def num_simulations(self) -> int:
        """Simulations of a search."""
        return self._config.num_simulations

    def _prepare(self) -> None:
        """Tells the server which node ends a search of this planner."""
        self._lane.prepare(last_node=self._config.num_simulations)

    def _asked(self) -> str:
        """What the network was asked: its version, and the largest number in the observations."""
        largest = np.abs(self.observation.astype(np.float64)).max()
        return f"weights version {self.weights_version}, observations of up to {largest:g}"

    def _ask_roots(self) -> None:
        self._state = _State.ROOT
        self._lane.request(RequestKind.ROOT, node_index=0, num_rows=self._num_trees)

    def _simulate(self) -> None:
        self._search.select()
        self._node_index += 1
        self._lane.request(RequestKind.RECURRENT, node_index=self._node_index, num_rows=self._num_trees)

    def _outputs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reward, value and policy logits of the nodes that were asked for."""
        return self._reward, self._value, self._policy_logits


class RulesPlanner(LanePlanner):
    """A LanePlanner whose trees walk the game's own rules: the server evaluates the observation of every node."""

    _masked = True

    def __init__(
        self, lane: LaneClient, config: SearchConfig, game: GameConfig, *, num_trees: int, **sizes: int
    ) -> None:
        super().__init__(lane, config, num_trees=num_trees, **sizes)
        num_nodes = config.num_simulations + 1
        self._rules = RulesModel(game, num_rows=num_trees, num_nodes=num_trees * num_nodes)
        self._root_B = num_nodes * np.arange(num_trees)

    def begin(self, legal_actions_BA: np.ndarray, games: Game | None = None) -> None:
        """Asks for the inference of the games' positions; `observation` must be filled."""
        self._rules.begin(cast(WalkableGame, games), self.observation, self._root_B)
        super().begin(legal_actions_BA)

    def _ask_roots(self) -> None:
        self.observation[:] = self._rules.observation(self._root_B)
        super()._ask_roots()

    def _simulate(self) -> None:
        parent_index_B, action_B = self._search.select()
        self._node_index += 1
        source_B, target_B = self._root_B + parent_index_B, self._root_B + self._node_index
        self.observation[:] = self._rules.step(source_B, target_B, action_B)
        self._lane.request(RequestKind.ROOT, node_index=self._node_index, num_rows=self._num_trees)

    def _outputs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._rules.evaluation(self._value, self._policy_logits)


def make_planner(
    lane: LaneClient, config: SearchConfig, game: GameConfig, *, num_trees: int, num_actions: int, seed: int
) -> LanePlanner:
    """The planner of a search over a lane, by the model that its config names."""
    sizes = {"num_trees": num_trees, "num_actions": num_actions, "seed": seed}
    return RulesPlanner(lane, config, game, **sizes) if config.model == "rules" else LanePlanner(lane, config, **sizes)


def played_actions(planner: Planner, action_B: np.ndarray) -> np.ndarray:
    """Actions of the last search as the games take them: the same, or vectors [B, D] where these are places of some."""
    if planner.candidates_BAD is None:
        return action_B
    return planner.candidates_BAD[np.arange(len(action_B)), action_B]


def derive_seed(seed: int, *path: str | int) -> int:
    """A seed in [0, 2^31) for the stream named by `path`, as in derive_seed(0, "actor", 3, "search")."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0]) & 0x7FFF_FFFF


def signed_search(config: SearchConfig, num_players: int) -> SearchConfig:
    """The config with the sign of its discount set: negative if two players alternate, whatever the profile says."""
    sign = -1.0 if num_players == 2 else 1.0
    return dataclasses.replace(config, discount=sign * abs(config.discount))


def greedy_search(config: SearchConfig, num_simulations: int) -> SearchConfig:
    """The config without root noise, for evaluation; num_simulations 0 keeps the number of training."""
    simulations = num_simulations or config.num_simulations
    return dataclasses.replace(config, root_exploration_fraction=0.0, gumbel_scale=0.0, num_simulations=simulations)


__all__ = [
    "LanePlanner",
    "Planner",
    "RulesModel",
    "derive_seed",
    "greedy_search",
    "make_planner",
    "played_actions",
    "rules_bytes",
    "signed_search",
]
