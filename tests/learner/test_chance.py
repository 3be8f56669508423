"""The losses of chance against a plain twin and by hand; a lottery's values learnt from one batch."""

import re

import numpy as np
import pytest
import torch

from mzpipe.config import LearnerConfig, NetworkConfig, SearchConfig, parse_profile
from mzpipe.errors import ConfigError
from mzpipe.learner.chance import ChanceWatch, Codes, afterstate_values, commitment, find_codes
from mzpipe.learner.diagnostics import diagnose
from mzpipe.learner.loss import Batch, LossFunction, muzero_loss
from mzpipe.learner.statistics import PlayedStatistics
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import Model
from mzpipe.nets.chance import straight_through
from mzpipe.nets.support import transform
from mzpipe.search import BatchedSearch
from tests.games.lottery import BEGIN, LOST, PAYS, SURE, WON
from tests.learner.batches import NUM_ACTIONS, SUPPORT, UNROLL, in_float64, make_model
from tests.learner.test_loss import masked_batch, shake
from tests.naive.loss import cross_entropy, scalar_loss

CODES, DISCOUNT = 5, 0.9


def chance_batch():
    """Masks as the replay server makes them: a cut game, games that end within the unroll, and ones that go on."""
    batch = masked_batch()
    stored_BK = batch.observation_mask_BK
    known_BK = stored_BK.clone()
    known_BK[1:4] = 1.0  # these games ended
    value_mask_BK1 = torch.cat([torch.ones(6, 1), known_BK], dim=1)
    reward_mask_BK = torch.ones(6, UNROLL)
    reward_mask_BK[5, 2:] = 0.0
    return batch._replace(value_mask_BK1=value_mask_BK1, reward_mask_BK=reward_mask_BK)


def chance_model(**changes):
    return shake(make_model(chance_codes=CODES, **changes))


@torch.no_grad()
def naive_parts(model, batch):
    """(policy, value, reward, afterstate, code, commitment), one sample and one step at a time."""
    codes, parts = find_codes(model, batch), np.zeros(6)
    for b in range(len(batch.weight_B)):
        weight = float(batch.weight_B[b])
        output = model.initial_inference(batch.observation[b : b + 1])
        for k in range(UNROLL + 1):
            scale = weight if k == 0 else weight / UNROLL
            if k > 0:
                known = float(batch.value_mask_BK1[b, k])
                after = model.recurrent_inference(output.hidden_state, batch.action_BK[b : b + 1, k - 1])
                target = float(batch.reward_target_BK[b, k - 1]) + DISCOUNT * float(batch.value_target_BK1[b, k])
                counts = known * float(batch.reward_mask_BK[b, k - 1])
                value = scalar_loss(model.config, after.value_logits_BM[0], target, SUPPORT)
                parts[3] += scale * counts * value
                code = int(codes.row_BKC[b, k - 1].argmax())
                one_hot = [float(place == code) for place in range(CODES)]
                parts[4] += scale * known * cross_entropy(after.policy_logits_BA[0, NUM_ACTIONS:], one_hot)
                likely = codes.likely_BKC[b, k - 1].tolist()
                parts[5] += scale * known * sum((p - c) ** 2 for p, c in zip(likely, one_hot, strict=True))
                output = model.recurrent_inference(after.hidden_state, torch.tensor([NUM_ACTIONS + code]))
                reward = scalar_loss(
                    model.config, output.reward_logits_BM[0], float(batch.reward_target_BK[b, k - 1]), SUPPORT
                )
                parts[2] += scale * counts * reward
            policy = cross_entropy(output.policy_logits_BA[0, :NUM_ACTIONS], batch.policy_target_BK1A[b, k])
            parts[0] += scale * float(batch.policy_mask_BK1[b, k]) * policy
            value = scalar_loss(model.config, output.value_logits_BM[0], float(batch.value_target_BK1[b, k]), SUPPORT)
            parts[1] += scale * float(batch.value_mask_BK1[b, k]) * value
    return parts / len(batch.weight_B)


@pytest.mark.parametrize("heads", ["categorical", "scalar"])
def test_losses_of_chance_equal_the_plain_twin(heads):
    model, batch = chance_model(heads=heads).double().eval(), in_float64(chance_batch())
    losses = LossFunction(model, LearnerConfig(commitment_loss_weight=0.5), discount=DISCOUNT)(batch)
    expected = naive_parts(model, batch)
    found = [losses.policy, losses.value, losses.reward, losses.afterstate, losses.code, losses.commitment]
    assert [each.item() for each in found] == pytest.approx(expected.tolist(), rel=1e-6)
    assert losses.total.item() == pytest.approx(expected @ [1.0, 0.25, 1.0, 0.25, 1.0, 0.5], rel=1e-6)


def test_target_of_an_afterstate_is_reward_and_discounted_value_of_the_next_state():
    batch = chance_batch()
    target_BK, mask_BK = afterstate_values(batch, -0.5)
    assert target_BK[2, 1] == pytest.approx(float(batch.reward_target_BK[2, 1] - 0.5 * batch.value_target_BK1[2, 2]))
    assert mask_BK.tolist() == (batch.reward_mask_BK * batch.value_mask_BK1[:, 1:]).tolist()


def test_what_chance_did_is_known_where_the_next_observation_is_stored_or_the_game_ended():
    codes = find_codes(chance_model(), chance_batch())
    assert codes.known_BK.tolist() == chance_batch().value_mask_BK1[:, 1:].tolist()
    unknown = codes.row_BKC[codes.known_BK == 0]
    assert len(unknown) and (unknown == torch.eye(CODES)[0]).all()


def test_an_unknown_outcome_has_no_part_in_any_loss():
    """The reward of the last step of a cut game may be chance's, and chance left no observation."""
    model, batch = chance_model().eval(), chance_batch()
    batch.reward_mask_BK[4, :] = 1.0
    batch = batch._replace(value_mask_BK1=batch.value_mask_BK1.clone(), observation_mask_BK=torch.ones(6, UNROLL))
    batch.value_mask_BK1[4, 2:] = 0.0
    batch.observation_mask_BK[4, 1:] = 0.0
    batch.policy_mask_BK1[4, 2:] = 0.0
    other = batch._replace(reward_target_BK=batch.reward_target_BK.clone(), frame_BF=batch.frame_BF.clone())
    other.reward_target_BK[4, 2:] += 1.0
    first, second = (find_codes(model, each) for each in (batch, other))
    assert torch.equal(first.known_BK, second.known_BK)
    # The encoder normalises over all rows, so it is given the same codes.
    for loss in ("reward", "afterstate", "value"):
        values = []
        for each in (batch, other):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("mzpipe.learner.loss.find_codes", lambda model, batch: first)
                values.append(getattr(muzero_loss(model, each, value_loss_weight=1.0), loss).item())
        assert values[0] == values[1], loss


def test_gradient_of_later_losses_reaches_the_encoder():
    model, batch = chance_model(), chance_batch()
    losses = muzero_loss(model, batch, value_loss_weight=1.0)
    gradients = torch.autograd.grad(losses.total, list(model.encoder.parameters()))
    assert all(torch.isfinite(each).all() for each in gradients)
    assert sum(float(each.abs().sum()) for each in gradients) > 0.0


def test_encoder_sees_both_observations_the_reward_and_the_end():
    """Zeros stand for what is not stored; the end is known although its observation is not stored."""
    model, batch, seen = chance_model(), chance_batch(), []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    known_BK = find_codes(model, batch).known_BK
    before, after, outcome = (each.unflatten(0, known_BK.shape) for each in seen)
    stored_BK, nothing = batch.observation_mask_BK, torch.zeros(5)
    for sample, step in np.ndindex(*known_BK.shape):
        is_stored, was_stored = stored_BK[sample, step] > 0, step == 0 or stored_BK[sample, step - 1] > 0
        assert torch.equal(before[sample, step], batch.frame_BF[sample, step] if was_stored else nothing)
        assert torch.equal(after[sample, step], batch.frame_BF[sample, step + 1] if is_stored else nothing)
        assert outcome[sample, step, 0] == transform(batch.reward_target_BK[sample, step])
        assert outcome[sample, step, 1] == (known_BK[sample, step] > 0 and not is_stored)
    assert 0.0 < outcome[..., 1].sum() < known_BK.sum()


def test_commitment_moves_the_encoders_probabilities_towards_its_codes():
    likely_BKC = torch.tensor([[[0.2, 0.5, 0.3]]], requires_grad=True)
    (commitment(Codes(straight_through(likely_BKC), likely_BKC, torch.ones(1, 1))).sum()).backward()
    assert likely_BKC.grad.flatten().tolist() == pytest.approx([0.4, -1.0, 0.6])


def test_encoder_does_not_learn_to_make_its_codes_easy_to_foresee():
    """In an unroll of one step nothing but the code's own loss follows the afterstate that foresees it."""
    model, batch = chance_model(), chance_batch()
    sizes = {"frame_BF": 2, "value_target_BK1": 2, "value_mask_BK1": 2, "policy_target_BK1A": 2, "policy_mask_BK1": 2}
    parts = {name: part for name, part in batch._asdict().items() if part is not None and name != "weight_B"}
    batch = batch._replace(**{name: part[:, : sizes.get(name, 1)] for name, part in parts.items()})
    batch.policy_mask_BK1.zero_()
    batch.reward_mask_BK.zero_()
    losses = muzero_loss(model, batch, value_loss_weight=0.0)
    assert losses.total == losses.code > 0.0
    gradients = torch.autograd.grad(losses.total, list(model.encoder.parameters()), allow_unused=True)
    assert all(each is None or not each.any() for each in gradients)


def test_without_codes_the_losses_of_chance_are_zero():
    losses = LossFunction(make_model(), LearnerConfig(), discount=0.5)(masked_batch())
    assert (losses.afterstate, losses.code, losses.commitment) == (0.0, 0.0, 0.0)


def test_batch_statistics_of_the_played_network_are_measured_along_afterstates_and_codes():
    torch.manual_seed(0)
    fields = {"num_channels": 4, "head_channels": 2, "value_support_size": SUPPORT, "reward_support_size": SUPPORT}
    kind = {"kind": "residual", "downsample": "none", "dynamics_norm": "batch"}
    config = NetworkConfig(**kind, chance_codes=CODES, **fields)
    model = Model(config, (5, 1, 1), NUM_ACTIONS, training_heads=True)
    batch = chance_batch()
    batch = batch._replace(frame_BF=batch.frame_BF[..., None, None])
    statistics = PlayedStatistics(model)
    before = {name: buffer.clone() for name, buffer in model.dynamics.named_buffers()}
    statistics.keep(batch)
    statistics.measure()
    moved = [name for name, buffer in model.dynamics.named_buffers() if not torch.equal(buffer, before[name])]
    assert {name.partition(".")[0] for name in moved} == {"of_actions", "of_codes"}


def lottery_batch(size=64, num_steps=4, grid=()):
    """Unrolls of the lottery from its beginning, every outcome as often as it comes; `grid`: (1, 1) makes planes."""
    rng, eye = np.random.default_rng(0), torch.eye(4)
    action_BK = torch.from_numpy(rng.integers(0, 2, (size, num_steps)).astype(np.int32))
    action_BK[:, 0] = torch.arange(size) % 2
    won_B = torch.arange(size) // 2 % 2 == 0
    shown_B = torch.where(action_BK[:, 0] == 0, SURE, torch.where(won_B, WON, LOST))
    paid_B = torch.tensor([PAYS.get(state, 0.0) for state in range(4)])[shown_B]
    nothing_B4, zero_B, one_B = torch.zeros(size, 4), torch.zeros(size), torch.ones(size)
    after = num_steps - 1
    frame_BF = torch.stack([eye[BEGIN].expand(size, 4), eye[shown_B], *[nothing_B4] * after], 1)
    return Batch(
        frame_BF=frame_BF.reshape(*frame_BF.shape, *grid),
        action_BK=action_BK,
        value_target_BK1=torch.stack([1.5 * one_B, paid_B, *[zero_B] * after], 1),
        value_mask_BK1=torch.ones(size, num_steps + 1),
        reward_target_BK=torch.stack([zero_B, paid_B, *[zero_B] * (after - 1)], 1),
        reward_mask_BK=torch.ones(size, num_steps),
        policy_target_BK1A=torch.full((size, num_steps + 1, 2), 0.5),
        policy_mask_BK1=torch.stack([one_B, one_B, *[zero_B] * after], 1),
        weight_B=one_B,
        observation_mask_BK=torch.stack([one_B, *[zero_B] * after], 1),
    )


def with_later_unrolls(batch):
    """The batch, and the same games from the position after the first move on, as a table gives them."""

    def both(name, part):
        later = part if name == "weight_B" else torch.cat([part[:, 1:], part[:, -1:]], dim=1)
        return torch.cat([part, later])

    return batch._replace(**{name: both(name, part) for name, part in batch._asdict().items() if part is not None})


@torch.no_grad()
def search_lottery(model, num_codes):
    config = SearchConfig(num_simulations=200, root_exploration_fraction=0.0, discount=1.0)
    search = BatchedSearch(config, batch_size=1, num_actions=2, num_codes=num_codes)
    output = model.initial_inference(torch.eye(4)[[BEGIN]].view(1, *model.observation_shape))
    nodes = [output.hidden_state]
    search.begin(output.policy_logits_BA.numpy(), model.value(output).numpy())
    for _ in range(config.num_simulations):
        (parent,), choice_B = search.select()
        output = model.recurrent_inference(nodes[parent], torch.from_numpy(choice_B))
        nodes.append(output.hidden_state)
        search.backup(model.reward(output).numpy(), model.value(output).numpy(), output.policy_logits_BA.numpy())
    return search.result()


@pytest.mark.slow
def test_training_on_a_lottery_finds_its_outcomes_chances_and_values():
    torch.manual_seed(0)
    fields = {"hidden_size": 32, "heads": "scalar", "chance_codes": 16}
    model, batch = Model(NetworkConfig(**fields), (4,), 2, training_heads=True), lottery_batch()
    step = TrainingStep(model, LearnerConfig(learning_rate=5e-3, weight_decay=0.0))
    for _ in range(300):
        step(batch)
    code_B = find_codes(model, batch).index_BK[:, 0]
    won, lost = (int(code_B[batch.frame_BF[:, 1, state] == 1][0]) for state in (WON, LOST))
    assert won != lost
    measured = diagnose(model, batch)
    assert measured["codes_used"] > 1.5 and measured["codes_expected"] == pytest.approx(2**0.125, rel=0.02)
    model.eval()
    root = model.initial_inference(torch.eye(4)[[BEGIN, BEGIN]])
    after = model.recurrent_inference(root.hidden_state, torch.tensor([0, 1]))
    assert model.value(after).tolist() == pytest.approx([1.0, 1.5], rel=0.03)
    chances = torch.softmax(after.policy_logits_BA[1, 2:], -1)[[won, lost]]
    assert chances.tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert search_lottery(model, 16).q_BA[0].tolist() == pytest.approx([1.0, 1.5], rel=0.05)


@pytest.mark.slow
def test_residual_network_that_plays_a_lottery_is_the_one_that_is_trained():
    """The steps of an unroll differ as much as they can: a choice, what it pays, and nothing after it."""
    torch.manual_seed(0)
    sizes = {"num_channels": 16, "head_channels": 4, "head_hidden_size": 16}
    fields = {"kind": "residual", "downsample": "none", "action_encoding": "planes", "heads": "scalar", **sizes}
    model = Model(NetworkConfig(chance_codes=16, **fields), (4, 1, 1), 2, training_heads=True)
    step, statistics = TrainingStep(model, LearnerConfig(learning_rate=5e-3, weight_decay=0.0)), PlayedStatistics(model)
    batch = with_later_unrolls(lottery_batch(16, grid=(1, 1)))
    for _ in range(500):
        step(batch)
        statistics.keep(batch)
    statistics.measure()
    assert diagnose(model, batch)["played_gap"] < 0.03
    model.eval()
    assert search_lottery(model, 16).q_BA[0].tolist() == pytest.approx([1.0, 1.5], rel=0.02)


def test_codes_that_tell_nothing_apart_are_told_once_until_they_do():
    watch = ChanceWatch(8)
    assert watch.line(8.0, 100) is None
    assert re.fullmatch(
        r"learner step 1,200: the network expects one of network\.chance_codes=8 .*", watch.line(1.0, 1200)
    )
    assert [watch.line(expected, 1300) is None for expected in (1.002, 1.3, 1.002)] == [True, True, False]


def test_diagnostics_have_no_codes_where_the_model_has_none():
    measured = diagnose(make_model(), masked_batch())
    assert (measured["codes_used"], measured["codes_expected"]) == (0.0, 0.0)


def test_profile_refuses_what_trees_with_chance_do_not_have():
    stop = "[stop]\nlearner_steps = 1\n"
    with pytest.raises(ConfigError, match=r"network\.chance_codes=4: trees with chance have no .*leave one"):
        parse_profile(stop, ("network.chance_codes=4", "network.value_prefix=true"))
    with pytest.raises(ConfigError, match=r"learner\.commitment_loss_weight=0\.5: network\.chance_codes=0 has no"):
        parse_profile(stop, ("learner.commitment_loss_weight=0.5",))
    with pytest.raises(ConfigError, match=r"network\.chance_codes=4: network\.kind='a:B' does not take it"):
        parse_profile(stop, ("network.chance_codes=4", "network.kind=a:B"))
