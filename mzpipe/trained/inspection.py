"""Inspects one searched move of a greedy game, and compares the model's forecast with the moves that followed.

Shape legend    S... one stacked observation   T moves, starting with the inspected one   K unroll steps
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..games import has_protocols
from ..search import SearchedTree
from ..targets import n_step_values
from . import Progress
from .player import Player
from .watched import Outcome, Position, WatchedGame


class Foreseen(NamedTuple):
    """One unroll depth: the model's forecast after this many of the actions played, and the actual outcome.

    At depth 0 nothing has been played yet: action and rewards are None. Values are for the player to move there.
    """

    depth: int
    action: int | None
    reward: float | None
    real_reward: float | None
    value: float
    # The value target as in training: the rewards of td_steps moves and the search's value after them. Rewards are
    # clipped if training clips them. A lost life does not end the sum here.
    value_target: float
    # The search's value at that position; None where the game had ended.
    root_value: float | None
    # The action in words.
    name: str | None = None


class Inspection(NamedTuple):
    """Everything the page shows."""

    position: Position
    picture: NDArray[np.uint8]
    tree: SearchedTree
    # Of the actions, or of the root's candidates where they are vectors, and after them of the codes of chance.
    names: tuple[str, ...]
    # Of the edge into each node of the tree.
    node_names: tuple[str, ...]
    foreseen: tuple[Foreseen, ...]
    seed: int


class _Played(NamedTuple):
    """The moves, starting with the inspected one, and the value after the last: 0 if the rules ended the game."""

    action_T: list[int]
    # The same as the model takes them, and in words.
    taken_T: list[np.ndarray]
    name_T: list[str]
    reward_T: list[float]
    root_value_T: list[float]
    final_value: float
    terminated: bool


def inspect_move(player: Player, episode: int, step: int, *, seed: int, progress: Progress) -> Inspection:
    """Searches move `step` of game `episode`, both counted from 0; `seed` determines the greedy games.

    Then plays the further moves that the value targets need. Progress is called with episode and step.
    Raises UsageError when the game ended before that move.
    """
    with WatchedGame(player, seed) as watched:
        for number in range(episode + 1):
            watched.begin()
            watched.picture()  # an emulator's screen must be recorded from the game's start
            _play_until(watched, step if number == episode else None, progress)
        if watched.ended:
            raise UsageError(
                f"--step {step}: episode {episode} of seed {seed} ended after {watched.step} moves: "
                f"give a step from 0 to {watched.step - 1}"
            )
        picture, position, tree = watched.picture(), watched.decide(), player.tree()
        codes = range(player.agent.profile.network.chance_codes)
        names = (*watched.names, *(f"chance {code}" for code in codes))
        played = _play_on(watched, position, progress)
        node_names = _node_names(tree, names, has_candidates=player.game.action_size > 0)
        return Inspection(position, picture, tree, names, node_names, _foreseen(player, position, played), seed)


def _node_names(tree: SearchedTree, names: tuple[str, ...], *, has_candidates: bool) -> tuple[str, ...]:
    """Each node's edge in words; every node has candidates of its own, of which only the root's are known."""
    below = [f"candidate {action}" for action in range(len(names))] if has_candidates else names
    edges = zip(tree.parent_K[1:], tree.action_K[1:], strict=True)
    return ("root", *((below if parent else names)[action] for parent, action in edges))


def clips_rewards(player: Player) -> bool:
    """Whether training saw only the signs of rewards, so that the model predicts signs."""
    game = player.agent.profile.game
    return has_protocols(game) and game.atari.clip_rewards


def _play_until(watched: WatchedGame, step: int | None, progress: Progress) -> None:
    """Plays to the step, or to the end of the game."""
    while not watched.ended and watched.step != step:
        watched.play(watched.decide().decision.action_index)
        progress(watched.episode, watched.step)


def _play_on(watched: WatchedGame, position: Position, progress: Progress) -> _Played:
    """Plays the moves that the value targets of all unroll depths need, or to the end of the game."""
    profile = watched.player.agent.profile
    moves = profile.num_unroll_steps + profile.replay.td_steps
    actions: list[int] = []
    taken: list[np.ndarray] = []
    names: list[str] = []
    rewards: list[float] = []
    values: list[float] = []
    outcome = Outcome(0.0, terminated=False, truncated=False)
    while not watched.ended and len(actions) < moves:
        decision = position.decision if not actions else watched.decide().decision
        actions.append(decision.action_index)
        taken.append(watched.taken(decision.action_index))
        names.append(watched.names[decision.action_index])
        outcome = watched.play(decision.action_index)
        rewards.append(outcome.reward)
        values.append(decision.value)
        progress(watched.episode, watched.step)
    final_value = 0.0 if outcome.terminated else watched.decide().decision.value
    return _Played(actions, taken, names, rewards, values, final_value, outcome.terminated)


def _foreseen(player: Player, position: Position, played: _Played) -> tuple[Foreseen, ...]:
    """The model unrolled along the actions that were played, as training unrolls it."""
    profile, discount = player.agent.profile, player.config.discount
    depths = min(profile.num_unroll_steps, len(played.action_T))
    reward_T, root_value_T = (np.array(values, np.float32) for values in (played.reward_T, played.root_value_T))
    if clips_rewards(player):
        reward_T = np.sign(reward_T)
    targets = n_step_values(reward_T, root_value_T, discount, profile.replay.td_steps, played.final_value)
    targets = np.append(targets, played.final_value)
    root_values = [*played.root_value_T, None if played.terminated else played.final_value]
    answers = player.search.unroll(position.observation_S, played.taken_T[:depths])
    return tuple(
        Foreseen(
            depth=depth,
            action=played.action_T[depth - 1] if depth else None,
            reward=float(answer.reward_B[0]) if depth else None,
            real_reward=played.reward_T[depth - 1] if depth else None,
            value=float(answer.value_B[0]),
            value_target=float(targets[depth]),
            root_value=root_values[depth],
            name=played.name_T[depth - 1] if depth else None,
        )
        for depth, answer in enumerate(answers)
    )
