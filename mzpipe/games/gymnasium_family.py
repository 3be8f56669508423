"""Gymnasium's environments, whose actions are a list or vectors, seeded and reset as its own SyncVectorEnv does it."""

import os
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any, NamedTuple, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from ..config import GameConfig
from ..errors import ConfigError, GameError
from ..extras import how_to_install
from ..format import shown
from .checked import asked, checked_picture, is_finite
from .closing import close_all, closed_if_it_fails
from .environment import Environment, Observed
from .game import GameSpec, Numbers, Parts, StepResult, game_seeds
from .gymnasium_frames import FrameKind, frame_kind, is_guessed, is_image
from .gymnasium_spaces import CombinedActions, PlainObservation, PlainSpace, VectorActions, found_in
from .gymnasium_wrappers import wrapped
from .live import SoloGame
from .names import ACTION_NAMES

_PICTURES = "rgb_array"
# What gymnasium calls the packages that it misses, and their names in `import`.
_ENGINES = {"Box2D": "Box2D", "MuJoCo": "mujoco"}


class GymnasiumGame(SoloGame):
    """B games of one gymnasium environment; `gymnasium_frames` describes their frames.

    Raises GameError if an environment breaks gymnasium's protocol, or leaves its own spaces.
    """

    def __init__(
        self, config: GameConfig, num_games: int, seed: int, make_env: Callable[[GameConfig], gymnasium.Env]
    ) -> None:
        super().__init__(num_games)
        self._name, self._seeds = config.name, cast(list[int] | None, game_seeds(seed, num_games))
        self._envs: list[gymnasium.Env] = []
        with closed_if_it_fails(config.name, self._envs):
            self._envs += (make_env(config) for _ in range(num_games))
            actions, self._frames = _checked_spaces(config, self._envs)
        self._observed = Observed(config.name, self._envs[0].observation_space)
        has_masks = config.gymnasium.action_masks
        self._games = [Environment(config.name, env, self._observed, has_masks=has_masks) for env in self._envs]
        self.spec = _spec(config, self._envs[0], self._frames, actions)
        self._observation_B = np.zeros((num_games, *self._observed.shape), self._observed.dtype)
        self._frame_BF = np.zeros((num_games, *self.spec.frame_shape), self.spec.frame_dtype)

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask began a new episode."""
        mask_B = self._begin(mask_B)
        seeds, self._seeds = self._seeds, None
        assert seeds is None or mask_B.all(), "the first reset must be of all games"
        if mask_B.any():
            observation_B = self._observation_B.copy()
            for index in map(int, np.flatnonzero(mask_B)):
                began = (
                    self._games[index].reset(None, {})
                    if seeds is None
                    else self._games[index].reset(seeds[index], None)
                )
                observation_B[index] = began
            self._see("reset", observation_B)
        return self._shown(self._frame_BF)

    def step(self, action_B: np.ndarray) -> StepResult:
        """Plays one action, or one vector, in every game; every game must be live."""
        self._check_step(action_B)
        observation_B = np.empty_like(self._observation_B)
        reward_B = np.empty(self.num_games, np.float32)
        terminated_B, truncated_B = np.empty((2, self.num_games), np.bool_)
        for index, (game, action) in enumerate(zip(self._games, action_B + self.spec.first_action, strict=True)):
            observation_B[index], reward_B[index], terminated_B[index], truncated_B[index] = game.step(action)
        self._see("step", observation_B)
        # A game that the rules end on its last allowed move is terminated, not truncated.
        return self._end(StepResult(self._frame_BF, reward_B, terminated_B, truncated_B & ~terminated_B))

    def _see(self, method: str, observation_B: np.ndarray) -> None:
        """Keeps the observations, which no later call writes to, and their frames, which may be the same arrays."""
        self._observed.check_all(method, observation_B)
        self._observation_B, self._frame_BF = observation_B, self._frames.convert(observation_B)

    def legal_actions(self) -> NDArray[np.bool_]:
        """Returns each game's legal actions, [B, A]; all where the environment tells none, or has ended."""
        legal_BA = super().legal_actions()
        for index, game in enumerate(self._games):
            if game.mask_A is not None:
                legal_BA[index] = game.mask_A
        return legal_BA

    def render(self) -> NDArray[np.uint8] | None:
        """Returns the picture of game 0, uint8 [H, W, 3]; None where the environment draws none."""
        env = self._envs[0]
        if _PICTURES not in env.metadata.get("render_modes", ()):
            return None
        # Pictures need no window: without these SDL would report on stderr that there is none, and MuJoCo would fail.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("MUJOCO_GL", "egl")
        env.unwrapped.render_mode = _PICTURES  # set this late, so that games without a viewer draw nothing
        return checked_picture(self.spec, asked(self._name, "render()", env.render))

    def action_names(self) -> tuple[str, ...]:
        """Returns the names in the environment's documentation, if it has any, or the numbers of continuous actions."""
        parts = self.spec.action_parts
        return parts.names() if parts and parts.ends else ACTION_NAMES.get(self.spec.name, ())

    def notes(self) -> list[str]:
        """What a user may want to know of the current observations and of `info`: nothing here is a fault."""
        sources = dict.fromkeys(game.mask_source for game in self._games if game.mask_source)
        return [f"legal actions come from {source}" for source in sources] + self._observed.notes(self._observation_B)

    @property
    def outside(self) -> "Outside":
        """How a caller's own environment of this kind is understood."""
        plain = found_in(self._envs[0], PlainObservation)
        return Outside(self._observed, self._frames, plain and plain.of)

    def close(self) -> None:
        """Closes the environments; raises GameError if one of them fails or does not return."""
        envs, self._envs = self._envs, []
        close_all(self._name, envs)


class Outside:
    """Frames from the observations of a caller's environment, as the games make them from their own."""

    def __init__(self, observed: Observed, frames: FrameKind, plain: PlainSpace | None) -> None:
        self._observed, self._frames, self._plain = observed, frames, plain

    def mask(self, observation: Any) -> Any:
        """The mask of legal actions in an observation; None if observations have none."""
        return None if self._plain is None else self._plain.mask(observation)

    def frame(self, observation: Any) -> np.ndarray | None:
        """One frame; None for what is no observation of the environment's space, or is not finite."""
        try:
            if self._plain is not None and isinstance(observation, dict | tuple):
                observation = asked(self._observed.name, "act()", self._plain.plain, observation)
            observation_B = self._observed.checked("act", observation)[None]
            self._observed.check_all("act", observation_B)
        except GameError:
            return None
        frame_F: np.ndarray = self._frames.convert(observation_B)[0]
        return frame_F if frame_F.dtype.kind != "f" or is_finite(frame_F) else None


def make_registered(config: GameConfig) -> gymnasium.Env:
    """The registered environment that `config` names; raises ConfigError if gymnasium cannot make it."""
    # Box2D games load pygame, which prints a greeting on stdout.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # None keeps the environment's registered limit.
    limit = config.max_episode_moves or None
    arguments = environment_arguments(config)

    def make() -> gymnasium.Env:
        return gymnasium.make(config.name, max_episode_steps=limit, disable_env_checker=True, **arguments)

    try:
        env = asked(config.name, "its constructor", make)
    except GameError as error:
        cause = error.__cause__
        if not isinstance(cause, gymnasium.error.Error | ImportError | TypeError | ValueError | LookupError):
            raise
        where = f"game.name={config.name!r}{_with_arguments(config)}"
        for engine, package in _ENGINES.items():
            if isinstance(cause, gymnasium.error.DependencyNotInstalled) and engine in str(cause):
                raise ConfigError(f"{where}: {engine} is not installed: {how_to_install(package)}") from None
        raise ConfigError(f"{where}: {type(cause).__name__}: {shown(cause)}") from None
    with closed_if_it_fails(config.name, [env]):
        return wrapped(env, config)


def environment_arguments(config: GameConfig) -> dict[str, bool | int | float | str]:
    """`game.gymnasium.arguments`, and the arguments that its wrappers need."""
    drawn = {"render_mode": "rgb_array"} if "pixels" in config.gymnasium.wrappers else {}
    return {**config.gymnasium.arguments, **drawn}


def _with_arguments(config: GameConfig) -> str:
    arguments = config.gymnasium.arguments
    return f" with game.gymnasium.arguments={arguments}" if arguments else ""


def _checked_spaces(config: GameConfig, envs: list[gymnasium.Env]) -> tuple[Discrete | Box, FrameKind]:
    """Raises ConfigError for actions and observations that cannot be searched, or that differ between environments."""
    actions, observations = (checked_space(config, envs[0], name) for name in ("action_space", "observation_space"))
    is_vector = found_in(envs[0], VectorActions) is not None
    checked_list = cast(Box, actions) if is_vector else checked_actions(config, actions)
    checked = checked_list, checked_frames(config, observations)
    for env in envs[1:]:
        if (env.action_space, env.observation_space) != (actions, observations):
            raise ConfigError(
                f"game.name={config.name!r}: two of its environments differ in their spaces: {actions} and "
                f"{env.action_space}, {observations} and {env.observation_space}"
            )
    return checked


def checked_actions(config: GameConfig, actions: Space) -> Discrete:
    """The actions; raises ConfigError where they are no list."""
    if isinstance(actions, Discrete):
        return actions
    raise ConfigError(
        f"game.name={config.name!r}: its actions are {actions}: only Discrete, MultiDiscrete, MultiBinary and "
        "Box can be searched"
    )


def checked_frames(config: GameConfig, observations: Space) -> FrameKind:
    """How observations become frames; raises ConfigError where they cannot."""
    frames = frame_kind(observations, config.gymnasium.image_channels)
    if frames is None or prod(frames.shape) == 0:
        raise ConfigError(
            f"game.name={config.name!r}: it observes {observations}: only Box of one to three axes, Discrete, "
            "MultiDiscrete, MultiBinary, and Dict or Tuple of them become frames, and only if they hold a number"
        )
    return frames


def checked_space(config: GameConfig, env: object, name: str) -> Space:
    """The environment's member of this name; raises ConfigError if it is no space."""
    space = getattr(env, name, None)
    if not isinstance(space, Space):
        raise ConfigError(f"game.name={config.name!r}: its {name} is {space!r}, not one of gymnasium's spaces")
    return space


def _spec(config: GameConfig, env: gymnasium.Env, frames: FrameKind, actions: Discrete | Box) -> GameSpec:
    registered = env.spec
    cap = config.max_episode_moves or (registered and registered.max_episode_steps)
    # The limit applies inside the wrappers.
    unit = "steps of its own" if "twice" in config.gymnasium.wrappers else "moves"
    plain, combined, vectors = (found_in(env, kind) for kind in (PlainObservation, CombinedActions, VectorActions))
    changes = [*([str(plain.of)] if plain else []), *config.gymnasium.wrappers]
    spaces = Spaces(frames, actions, env.observation_space, combined and combined.parts, vectors and vectors.numbers)
    return spec_of(config, spaces, changes, f"cap {cap} {unit}" if cap else "no cap")


class Spaces(NamedTuple):
    """What is observed and played: frames, a list of actions or vectors, and the spaces behind them."""

    frames: FrameKind
    actions: Discrete | Box
    observations: Space
    parts: Parts | None
    numbers: Numbers | None


def spec_of(config: GameConfig, spaces: Spaces, changes: Iterable[str], cap: str) -> GameSpec:
    """The spec of an environment, in which the `changes` were made, with this cap of an episode."""
    frames, numbers = spaces.frames, spaces.numbers
    num_actions, first_action = config.gymnasium.sampled_actions, 0
    if isinstance(spaces.actions, Discrete):
        num_actions, first_action = int(spaces.actions.n), int(spaces.actions.start)
    kind = "combinations of actions" if spaces.parts else "actions"
    listed = f"{num_actions} sampled actions of {len(numbers.lows)} numbers" if numbers else f"{num_actions} {kind}"
    observed = f"{'x'.join(map(str, frames.shape))} {frames.dtype} {'values' if len(frames.shape) == 1 else 'image'}"
    changed = "".join(f", {change}" for change in changes)
    return GameSpec(
        name=config.name,
        description=(
            f"{config.name}{_with_arguments(config)}: {observed}{changed}, stack {config.frame_stack}, {listed}, {cap}"
        ),
        frame_shape=frames.shape,
        frame_dtype=frames.dtype,
        frame_stack=config.frame_stack,
        num_actions=num_actions,
        num_players=1,
        first_action=first_action,
        action_parts=spaces.parts,
        action_numbers=spaces.numbers,
        objections=tuple(_objections(config, spaces)),
    )


def _objections(config: GameConfig, spaces: Spaces) -> Iterator[str]:
    """What the profile must say about images, or says without effect."""
    bins, sampled, observations = config.gymnasium.action_bins, config.gymnasium.sampled_actions, spaces.observations
    if bins and not (spaces.parts and spaces.parts.ends):
        yield f"game.gymnasium.action_bins={bins}: {config.name} has no continuous actions: leave it out"
    if sampled and spaces.numbers is None:
        yield f"game.gymnasium.sampled_actions={sampled}: the actions of {config.name} are a list: leave it out"
    channels = config.gymnasium.image_channels
    if channels == "auto" and is_guessed(observations):
        yield (
            f"game.name={config.name!r}: it observes images of {observations.shape}, whose channels may be the first "
            "axis or the last: set game.gymnasium.image_channels='first' or 'last'"
        )
    if channels != "auto" and not is_image(observations):
        yield (
            f"game.gymnasium.image_channels={channels!r}: {config.name} observes {shown(observations)}, which has no "
            "axis of channels: leave it out"
        )
