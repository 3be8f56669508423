"""Atari games, emulated and preprocessed in C++ by ale_py's vector environment.

How ale_py behaves, and how this module uses it:

- All its modes reset ended games by themselves, the default one inside the next
  step. The explicit reset(mask) comes before that, so its own reset never happens.
- `noop_max=n` draws 0..n-1 no-ops; this module passes n + 1, so that n means at most n.
- Its cap counts emulator frames from the end of the no-ops.
- `episodic_life` would restart the whole game after each life, so that no agent
  would see later lives. A lost life is only reported instead (`life_loss_info`): it
  ends the episode with `terminated`, and reset(mask) continues the same game. The new
  episode's first frame is the old one's last. The cap spans all lives.
- A skip that the game's end cuts short does not update the frames it did not reach:
  the final frame may show the screen one move earlier.
- It returns new arrays from each call, so nothing is copied here.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..config import GameConfig
from .atari_check import check_emulator
from .atari_emulators import SCREEN, AtariScreen, EmulatorUse, emulator_use, make_emulators
from .game import GameSpec, StepResult, game_seeds
from .live import SoloGame
from .names import atari_names, canonical_name

# Measured resident memory of each emulator in a vector environment.
_EMULATOR_BYTES = 1_700_000


class AtariGame(SoloGame):
    """B emulators of one cartridge."""

    def __init__(self, config: GameConfig, num_games: int, seed: int, *, training: bool, num_threads: int = 1) -> None:
        super().__init__(num_games)
        check_emulator(config, training=training)
        use = emulator_use(config, training=training)
        self._max_frames = use.max_frames
        self._life_loss_terminates = training and config.atari.life_loss_terminates
        self._env = make_emulators(config, num_games, num_threads, use)
        self.spec = _spec(config, len(self._env.ale.get_action_set()), use)
        self._seeds: NDArray[np.int64] | None = np.array(game_seeds(seed, num_games))
        self._frame_BF = np.zeros((num_games, *self.spec.frame_shape), np.uint8)
        self._lives_B = np.zeros(num_games, np.int32)
        self._start_frame_B = np.zeros(num_games, np.int32)
        self._continues_B = np.zeros(num_games, np.bool_)
        self._make_screen = _screen_maker(config, int(self._seeds[0]), use)
        self._screen: AtariScreen | None = None
        self._is_at_start = False

    def reset(self, mask_B: NDArray[np.bool_] | None = None) -> np.ndarray:
        """The current frames of all games, after those under the mask began a new episode.

        Without a mask every cartridge restarts; with one, a game that has only lost a life continues.
        """
        restart_B = self._begin(mask_B)
        if mask_B is not None:
            restart_B = restart_B & ~self._continues_B
        if self._seeds is not None:
            assert restart_B.all(), "the first reset must be of all games"
            self._start(*self._env.reset(seed=self._seeds), restart_B)
            self._seeds, self._is_at_start = None, True
        elif restart_B.any():
            self._start(*self._env.reset(options={"reset_mask": restart_B}), restart_B)
            self._is_at_start = False
            if self._screen is not None and restart_B[0]:
                self._screen.restart()
        self._continues_B = self._continues_B & ~self._live_B
        return self._shown(self._frame_BF)

    def step(self, action_B: NDArray[np.integer]) -> StepResult:
        """Plays one action, `frame_skip` emulator frames, in every game; every game must be live."""
        self._check_step(action_B)
        self._is_at_start = False
        if self._screen is not None:
            self._screen.step(int(action_B[0]))
        screen, reward_B, terminated_B, truncated_B, info = self._env.step(action_B.astype(np.int64, copy=False))
        self._frame_BF = _as_frames(screen)
        if self._life_loss_terminates:
            self._continues_B = terminated_B & self._only_lost_a_life(info)
            self._lives_B = info["lives"]
        return self._end(StepResult(self._frame_BF, reward_B.astype(np.float32), terminated_B, truncated_B))

    def render(self) -> NDArray[np.uint8]:
        """The colour screen of game 0, uint8 [210, 160, 3]; the first call must come before the first step.

        From then on one more emulator plays the same game.
        """
        if self._screen is None:
            assert self._is_at_start, "render() after a step or another reset: the screen is followed from the start"
            self._screen = self._make_screen()
        return self._screen.picture()

    def action_names(self) -> tuple[str, ...]:
        """Returns the emulator's names, such as NOOP, FIRE, UPRIGHT."""
        return tuple(action.name for action in self._env.ale.get_action_set())

    def close(self) -> None:
        """Stops the emulator threads."""
        if self._screen is not None:
            self._screen.close()
        self._env.close()
        # ale_py stops them only when its interface object is freed.
        vars(self._env).pop("ale", None)

    def _start(self, screen: np.ndarray, info: dict[str, np.ndarray], restart_B: NDArray[np.bool_]) -> None:
        self._frame_BF = _as_frames(screen)
        self._lives_B = info["lives"]
        self._start_frame_B = np.where(restart_B, info["episode_frame_number"], self._start_frame_B)

    def _only_lost_a_life(self, info: dict[str, np.ndarray]) -> NDArray[np.bool_]:
        lives_B = info["lives"]
        below_cap_B = info["episode_frame_number"] - self._start_frame_B < self._max_frames
        return (lives_B > 0) & (lives_B < self._lives_B) & below_cap_B


def _screen_maker(config: GameConfig, seed: int, use: EmulatorUse) -> Callable[[], AtariScreen]:
    """Returns a function that makes a screen which plays the game of this seed."""
    coloured = dataclasses.replace(config, atari=dataclasses.replace(config.atari, grayscale=False))
    make_env = partial(make_emulators, coloured, 1, 1, use._replace(image_shape=SCREEN))
    return lambda: AtariScreen(make_env, seed)


def _spec(config: GameConfig, num_actions: int, use: EmulatorUse) -> GameSpec:
    atari, side = config.atari, config.atari.image_size
    name = canonical_name(atari_names()[config.name])
    named = "" if config.name == name else f" (named {config.name!r})"
    pooled = " max-pooled over 2" if atari.max_pool else ""
    protocol = f", protocol {config.protocol}" if config.protocol else ""
    return GameSpec(
        name=name,
        description=(
            f"Atari {name}{named}: {side}x{side} {'grey' if atari.grayscale else 'RGB'}, "
            f"frame skip {atari.frame_skip}{pooled}, stack {config.frame_stack}, sticky {atari.sticky_actions}, "
            f"no-ops <= {atari.noop_max}, {num_actions} actions, cap {use.max_frames} frames{protocol}"
        ),
        frame_shape=(1 if atari.grayscale else 3, side, side),
        frame_dtype="uint8",
        frame_stack=config.frame_stack,
        num_actions=num_actions,
        num_players=1,
        bytes_per_game=_EMULATOR_BYTES,
    )


def _as_frames(screen: np.ndarray) -> np.ndarray:
    """[B, C, H, W] of ale_py's [B, 1, H, W] grey or [B, 1, H, W, 3] RGB."""
    if screen.ndim == 4:
        return screen
    return np.ascontiguousarray(np.moveaxis(screen[:, 0], -1, 1))
