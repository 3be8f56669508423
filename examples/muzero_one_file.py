"""MuZero in one file, on one core: it learns CartPole-v1 to a mean return of 475 in a few minutes.

    python examples/muzero_one_file.py [--seed N] [--minutes M] [--csv curve.csv]

MuZero (Schrittwieser et al. 2020) plans with a model of the game that it learns itself. The model is three functions:

    representation    observation            ->  hidden state
    dynamics          hidden state, action   ->  reward, next hidden state
    prediction        hidden state           ->  policy (which actions look good), value (how much reward will follow)

A tree search over hidden states turns a rough policy and value into better ones. MuZero plays what the search prefers
and stores it. From stored positions it unrolls the dynamics K steps along the actions that were played, and trains all
three functions to predict the rewards that came, and the policies and values that the searches found. A hidden state
need not look like the game. Better functions make better searches, and these make better targets.

Here self-play, replay, training and evaluation take turns in one loop. In mzpipe each of them is a process, but batches
and losses are the same: tests/examples/test_muzero_one_file.py holds them equal. Networks, tree search and unrolled
targets are mzpipe's own.

Shape legend    G games   O numbers of an observation   A actions   N nodes of a search tree   H units of a hidden state
                T steps of an episode   B unrolls   K unroll steps   K1 = K + 1 states   M categories of a head
"""

import argparse
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mzpipe.config import NetworkConfig
from mzpipe.config.search import SearchConfig
from mzpipe.nets import Model
from mzpipe.search import BatchedSearch, SearchResult, sample_action
from mzpipe.targets import EpisodeSteps, allocate_unroll_targets, scalar_to_support, unroll_targets


# --- Config -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Config:
    """The settings of profiles/cartpole.toml, as far as one loop needs them."""

    game: str = "CartPole-v1"
    network: NetworkConfig = NetworkConfig(hidden_size=64, value_support_size=20, reward_support_size=3)
    search: SearchConfig = SearchConfig(num_simulations=25, discount=0.997)
    num_games: int = 64  # played in parallel
    # Actions are drawn from visits^(1 / T); pairs of a learner step and the temperature T from that step on.
    temperatures: tuple[tuple[int, float], ...] = ((0, 1.0), (2_000, 0.5), (5_000, 0.25))
    replay_capacity: int = 35_000  # transitions
    min_size_to_sample: int = 4_000  # transitions played before training begins
    samples_per_insert: float = 8.0  # how often each transition is trained on
    batch_size: int = 128
    num_unroll_steps: int = 5
    td_steps: int = 50  # rewards summed before the value target bootstraps
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    max_grad_norm: float = 5.0
    value_loss_weight: float = 0.25
    evaluation_interval: int = 500  # learner steps
    evaluation_games: int = 20
    evaluation_simulations: int = 10
    goal: float = 475.0  # mean return of an evaluation that ends the program


# --- Networks and search ----------------------------------------------------------------------------------------------
def make_search(search: SearchConfig, envs: list[gymnasium.Env], rng: np.random.Generator) -> BatchedSearch:
    """One tree for each game."""
    num_actions = int(envs[0].action_space.n)
    return BatchedSearch(search, batch_size=len(envs), num_actions=num_actions, seed=int(rng.integers(2**31)))


@torch.inference_mode()
def run_search(model: Model, search: BatchedSearch, observation_GO: np.ndarray) -> SearchResult:
    """Searches one move of every game: a simulation adds a node to each tree, with one network call for all of them."""
    num_simulations, every_game = search.config.num_simulations, torch.arange(len(observation_GO))
    output = model.initial_inference(torch.from_numpy(observation_GO))
    hidden_state_NGH = output.hidden_state.new_empty(num_simulations + 1, *output.hidden_state.shape)
    hidden_state_NGH[0] = output.hidden_state
    search.begin(output.policy_logits_BA.numpy(), model.value(output).numpy())
    for node in range(1, num_simulations + 1):
        parent_index_G, action_G = (torch.from_numpy(array) for array in search.select())
        output = model.recurrent_inference(hidden_state_NGH[parent_index_G, every_game], action_G)
        hidden_state_NGH[node] = output.hidden_state
        search.backup(model.reward(output).numpy(), model.value(output).numpy(), output.policy_logits_BA.numpy())
    return search.result()


# --- Self-play --------------------------------------------------------------------------------------------------------
class Episode:
    """The played part of one game; step t holds the position before action t, and the results of its search."""

    def __init__(self, env: gymnasium.Env) -> None:
        max_length, num_actions = env.spec.max_episode_steps, int(env.action_space.n)
        self.length, self.terminated = 0, False
        self.final_value = 0.0  # value of the position after the last step, if the game has not ended there
        self.observation_TO = np.zeros((max_length, *env.observation_space.shape), np.float32)
        self.steps = EpisodeSteps(
            action_C=np.zeros(max_length, np.int32),
            reward_C=np.zeros(max_length, np.float32),
            bootstrap_value_C=np.zeros(max_length, np.float32),
            search_policy_CA=np.zeros((max_length, num_actions), np.float32),
        )

    def add(self, observation_O, action, reward, root_value, search_policy_A, terminated, final_value) -> None:
        """Appends one step, and records whether the game ended with it and the value after it."""
        t, self.length = self.length, self.length + 1
        self.observation_TO[t] = observation_O
        self.steps.action_C[t], self.steps.reward_C[t] = action, reward
        self.steps.bootstrap_value_C[t], self.steps.search_policy_CA[t] = root_value, search_policy_A
        self.terminated, self.final_value = bool(terminated), float(final_value)


class SelfPlay:
    """Parallel games whose episodes are in the replay buffer from their first step on."""

    def __init__(self, config: Config, model: Model, replay: "Replay", rng: np.random.Generator) -> None:
        self.config, self.model, self.replay, self.rng = config, model, replay, rng
        self.envs = [gymnasium.make(config.game) for _ in range(config.num_games)]
        self.search = make_search(config.search, self.envs, rng)
        self.observation_GO = np.stack([env.reset(seed=int(rng.integers(2**31)))[0] for env in self.envs])
        self.episodes = [replay.add(Episode(env)) for env in self.envs]

    def play_move(self, temperature: float) -> None:
        """Searches and plays one move of every game."""
        result = run_search(self.model, self.search, self.observation_GO)
        action_G = sample_action(result.visits_BA, temperature, self.rng)
        for g, (env, action) in enumerate(zip(self.envs, action_G, strict=True)):
            observation_O, reward, terminated, truncated, _ = env.step(int(action))
            # q = reward + discount * value of the next position
            next_value = (result.q_BA[g, action] - reward) / self.config.search.discount
            step = self.observation_GO[g], action, reward, result.root_value_B[g], result.search_policy_BA[g]
            self.episodes[g].add(*step, terminated, next_value)
            if terminated or truncated:
                observation_O, _ = env.reset()
                self.episodes[g] = self.replay.add(Episode(env))
            self.observation_GO[g] = observation_O


# --- Replay -----------------------------------------------------------------------------------------------------------
class Replay:
    """The newest episodes, the oldest first."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.episodes = capacity, deque()

    def add(self, episode: Episode) -> Episode:
        """Adds an episode, which may still grow, and drops the oldest ones until the rest fits."""
        self.episodes.append(episode)
        size = sum(stored.length for stored in self.episodes)
        while size > self.capacity:
            size -= self.episodes.popleft().length
        return episode

    def sample(self, batch_size: int, rng: np.random.Generator) -> list[tuple[Episode, int]]:
        """Positions, each an episode and a step of it; every stored step is as likely as any other."""
        length_E = np.array([episode.length for episode in self.episodes])  # E stored episodes
        index_B = rng.choice(len(length_E), batch_size, p=length_E / length_E.sum())
        return [(self.episodes[index], int(rng.integers(length_E[index]))) for index in index_B]


class Batch(NamedTuple):
    """Sampled positions with the actions that followed; index k of a target belongs to the state after k actions."""

    observation_BO: Tensor
    action_BK: Tensor
    value_target_BK1: Tensor
    reward_target_BK: Tensor
    policy_target_BK1A: Tensor
    value_mask_BK1: Tensor  # 1 where the target counts, else 0
    reward_mask_BK: Tensor
    policy_mask_BK1: Tensor


def make_batch(config: Config, positions: list[tuple[Episode, int]], random_key: int) -> Batch:
    """The targets along each unroll; `random_key` draws the actions past the end of an episode.

    Value targets are z_t = r_t+1 + discount r_t+2 + ... + discount^n v_t+n with n = td_steps. After the end of a
    terminated game, values and rewards are 0. After a truncated one they are unknown, so the masks are 0 there.
    """
    unrolls = []
    for b, (episode, t) in enumerate(positions):
        targets = allocate_unroll_targets(config.num_unroll_steps, episode.steps.search_policy_CA.shape[1])
        end, ending = episode.length, (episode.terminated, episode.final_value)
        unroll_targets(episode.steps, t, end, *ending, config.search.discount, config.td_steps, random_key + b, targets)
        unrolls.append(targets)
    observation_BO = np.stack([episode.observation_TO[t] for episode, t in positions])
    targets_B = [np.stack(rows) for rows in zip(*unrolls, strict=True)]
    return Batch(*map(torch.from_numpy, [observation_BO, *targets_B]))


# --- Loss -------------------------------------------------------------------------------------------------------------
class Losses(NamedTuple):
    """`total` carries the gradient; the others are its parts before they are weighted."""

    total: Tensor
    policy: Tensor
    value: Tensor
    reward: Tensor


def muzero_loss(config: Config, model: Model, batch: Batch) -> Losses:
    """Unrolls the model along the batch's actions; the cross-entropy between its outputs and the targets.

    sum over k of scale_k * (policy_k + value_loss_weight * value_k + reward_k), with scale_0 = 1 and scale_k = 1 / K.
    Values and rewards become categories: after a transform that shrinks large numbers, 3.7 is 0.3 of category 3 and 0.7
    of category 4. There is no reward at k = 0, because no action has been taken yet.
    """
    value_size, reward_size = config.network.value_support_size, config.network.reward_support_size
    value_target_BK1M = torch.from_numpy(scalar_to_support(batch.value_target_BK1.numpy(), value_size))
    reward_target_BKM = torch.from_numpy(scalar_to_support(batch.reward_target_BK.numpy(), reward_size))
    output = model.initial_inference(batch.observation_BO)
    policy = masked_loss(output.policy_logits_BA, batch.policy_target_BK1A[:, 0], batch.policy_mask_BK1[:, 0])
    value = masked_loss(output.value_logits_BM, value_target_BK1M[:, 0], batch.value_mask_BK1[:, 0])
    reward, scale = torch.zeros(()), 1.0 / config.num_unroll_steps
    for k in range(1, config.num_unroll_steps + 1):
        # The state's gradient is halved at each dynamics call, so that it does not grow along the unroll.
        hidden_state_BH = 0.5 * output.hidden_state + 0.5 * output.hidden_state.detach()
        output = model.recurrent_inference(hidden_state_BH, batch.action_BK[:, k - 1])
        policy_k = masked_loss(output.policy_logits_BA, batch.policy_target_BK1A[:, k], batch.policy_mask_BK1[:, k])
        value_k = masked_loss(output.value_logits_BM, value_target_BK1M[:, k], batch.value_mask_BK1[:, k])
        reward_k = masked_loss(output.reward_logits_BM, reward_target_BKM[:, k - 1], batch.reward_mask_BK[:, k - 1])
        policy, value, reward = policy + scale * policy_k, value + scale * value_k, reward + scale * reward_k
    return Losses(policy + config.value_loss_weight * value + reward, policy, value, reward)


def masked_loss(logits_BM: Tensor, target_BM: Tensor, mask_B: Tensor) -> Tensor:
    """Cross-entropy where the mask is 1, as a mean over the whole batch."""
    return (mask_B * cross_entropy(logits_BM, target_BM, reduction="none")).mean()


# --- Training and evaluation ------------------------------------------------------------------------------------------
def train(config: Config, seed: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Plays, trains and evaluates in turn; yields env steps, learner steps and the returns of each evaluation."""
    torch.manual_seed(seed)
    rng, replay, env = np.random.default_rng(seed), Replay(config.replay_capacity), gymnasium.make(config.game)
    model = Model(config.network, env.observation_space.shape, int(env.action_space.n))
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    self_play = SelfPlay(config, model, replay, rng)
    env_steps = learner_steps = 0
    while True:
        self_play.play_move([temperature for step, temperature in config.temperatures if learner_steps >= step][-1])
        env_steps += config.num_games
        # Train until every transition has been sampled samples_per_insert times on average.
        while learner_steps * config.batch_size < config.samples_per_insert * (env_steps - config.min_size_to_sample):
            batch = make_batch(config, replay.sample(config.batch_size, rng), int(rng.integers(2**62)))
            optimizer.zero_grad()
            muzero_loss(config, model, batch).total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimizer.step()
            learner_steps += 1
            if learner_steps % config.evaluation_interval == 0:
                yield env_steps, learner_steps, evaluate(config, model, rng)


def evaluate(config: Config, model: Model, rng: np.random.Generator) -> np.ndarray:
    """Returns [G] of whole games in which the most visited action is always played."""
    envs = [gymnasium.make(config.game) for _ in range(config.evaluation_games)]
    observation_GO = np.stack([env.reset(seed=int(rng.integers(2**31)))[0] for env in envs])
    greedy = replace(config.search, num_simulations=config.evaluation_simulations, root_exploration_fraction=0.0)
    search = make_search(greedy, envs, rng)
    return_G, live_G = np.zeros(len(envs)), np.ones(len(envs), np.bool_)
    while live_G.any():
        action_G = run_search(model, search, observation_GO).visits_BA.argmax(axis=1)
        for g in np.flatnonzero(live_G):
            observation_GO[g], reward, terminated, truncated, _ = envs[g].step(int(action_G[g]))
            return_G[g] += reward
            live_G[g] = not (terminated or truncated)
    return return_G


def main() -> None:
    """Trains until the goal is reached or the time is over; prints every evaluation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=30.0, help="when to give up, checked after each evaluation")
    parser.add_argument("--csv", default=os.devnull, help="file to write the evaluations to")
    arguments, config, start_s = parser.parse_args(), Config(), time.monotonic()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # weight decay makes numbers so small that CPUs are slow with them
    with open(arguments.csv, "w") as file:
        print("seed,seconds,env_steps,learner_steps,return_mean,return_std", file=file)
        for env_steps, learner_steps, return_G in train(config, arguments.seed):
            seconds = round(time.monotonic() - start_s)
            numbers = arguments.seed, seconds, env_steps, learner_steps, return_G.mean(), return_G.std()
            print(*numbers, sep=",", file=file, flush=True)
            steps = f"{env_steps:7,} env steps {learner_steps:6,} learner steps"
            print(f"{seconds:5} s {steps}   mean return {return_G.mean():5.1f}", flush=True)
            if return_G.mean() >= config.goal or seconds > 60 * arguments.minutes:
                return


if __name__ == "__main__":
    main()
