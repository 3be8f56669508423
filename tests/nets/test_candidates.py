"""Candidates: how actions that are vectors are drawn, what they weigh in a search, the same in every runtime.

Shape legend    B samples   K candidates   D numbers of an action   P policy outputs
"""

import dataclasses

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal, TanhTransform, TransformedDistribution

from mzpipe.config import NetworkConfig
from mzpipe.nets import FlatWeights, Model
from mzpipe.nets.candidates import even_points, make_sampler, normal_quantile, policy_outputs
from mzpipe.nets.engines.folded import FoldedModel
from mzpipe.nets.engines.row_model import RowModel

K, D, S = 20, 3, 16
HEADS = {
    "squashed-gaussian": NetworkConfig(action_head="squashed-gaussian"),
    "bins": NetworkConfig(action_head="bins", action_bins=5),
}
heads = pytest.mark.parametrize("config", HEADS.values(), ids=HEADS)
SMALL = {"hidden_size": S, "value_support_size": 5, "reward_support_size": 5}
IMAGES = {"num_channels": 4, "num_blocks": 0, "head_channels": 2, "head_hidden_size": 4}
SHAPES = {"mlp": (SMALL, (4,)), "residual": ({**SMALL, **IMAGES}, (1, 32, 32))}


def drawn(config, outputs_BP, state_BS=None, num_candidates=K, action_size=D):
    state_BS = torch.rand(len(outputs_BP), S) if state_BS is None else state_BS
    sampler = make_sampler(config, num_candidates, action_size, state_BS.shape[1])
    candidates_BV, logits_BK = sampler(outputs_BP, state_BS)
    return sampler, candidates_BV.unflatten(1, (num_candidates, action_size)), logits_BK


def random_outputs(config, rows=7):
    torch.manual_seed(0)
    return torch.randn(rows, policy_outputs(config, K, D))


def shares(sampler, state_BS):
    """The plain twin of the noise: the points of each state, shifted modulo 1."""
    shift_BD = state_BS.double().numpy() @ sampler.shift_SD.double().numpy()
    return (even_points(K, D).astype(np.float64) + shift_BD[:, None]) % 1.0


def moved(model):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def model_of(kind, head):
    settings, shape = SHAPES[kind]
    return moved(Model(NetworkConfig(kind=kind, action_head=head, **settings), shape, K, action_size=D)), shape


def test_points_fill_every_dimension_exactly_and_every_quarter_of_a_square():
    points_KD = even_points(K, D)
    assert np.allclose(np.sort(points_KD, axis=0), np.arange(K)[:, None] / K)
    for pair in ((0, 1), (0, 2), (1, 2)):
        quarter_K = (points_KD[:, pair] * 2.0).astype(int) @ [2, 1]
        assert np.bincount(quarter_K, minlength=4).min() >= 3


def test_quantile_of_the_normal_distribution_is_torchs_within_its_bounds():
    share = torch.linspace(0.0017, 0.9983, 2001, dtype=torch.float64)
    expected = Normal(0.0, 1.0).icdf(share)
    assert (normal_quantile(share) - expected).abs().max() < 2e-5
    assert normal_quantile(torch.tensor([0.0, 1.0])).abs().max() < 3.0


def test_gaussian_draws_are_those_of_a_plain_twin():
    config, state_BS = HEADS["squashed-gaussian"], torch.rand(7, S)
    outputs_BP = random_outputs(config)
    sampler, candidates_BKD, _ = drawn(config, outputs_BP, state_BS)
    mean_BD, spread_BD = outputs_BP.double().chunk(2, dim=1)
    mean_BD = 2.5 * torch.tanh(mean_BD / 2.5)
    spread_BD = 0.1 + torch.nn.functional.softplus(spread_BD + np.log(np.expm1(0.9)))
    share_BKD = torch.from_numpy(shares(sampler, state_BS)).clamp(0.0017, 0.9983)
    draw_BKD = mean_BD[:, None] + spread_BD[:, None] * Normal(0.0, 1.0).icdf(share_BKD)
    assert (candidates_BKD - draw_BKD.clamp(-4.0, 4.0).tanh()).abs().max() < 1e-4


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_draws_of_bins_are_those_of_a_plain_twin(temperature):
    config, state_BS = dataclasses.replace(HEADS["bins"], sample_temperature=temperature), torch.rand(7, S)
    outputs_BP = random_outputs(config)
    sampler, candidates_BKD, _ = drawn(config, outputs_BP, state_BS)
    policy_BDN = torch.softmax(outputs_BP.unflatten(1, (D, 5)) / temperature, -1).double().numpy()
    for sample, share_KD in enumerate(shares(sampler, state_BS)):
        for number in range(D):
            below_N = np.cumsum(policy_BDN[sample, number])
            expected = [np.searchsorted(below_N, share, side="right") / 2.0 - 1.0 for share in share_KD[:, number]]
            assert candidates_BKD[sample, :, number].tolist() == pytest.approx(expected)


def test_log_probabilities_are_those_of_torchs_distributions():
    outputs_BP = random_outputs(HEADS["squashed-gaussian"])
    sampler, candidates_BKD, _ = drawn(HEADS["squashed-gaussian"], outputs_BP)
    mean_BD, spread_BD = outputs_BP.chunk(2, dim=1)
    base = Normal(
        2.5 * torch.tanh(mean_BD / 2.5), 0.1 + torch.nn.functional.softplus(spread_BD + np.log(np.expm1(0.9)))
    )
    expected = TransformedDistribution(base, TanhTransform()).log_prob(candidates_BKD.transpose(0, 1)).sum(-1).T
    assert torch.allclose(sampler.log_prob(outputs_BP, candidates_BKD.flatten(1)), expected, atol=1e-2, rtol=1e-3)
    assert torch.allclose(sampler.entropy(outputs_BP), base.entropy().sum(-1))
    outputs_BP = random_outputs(HEADS["bins"])
    sampler, candidates_BKD, _ = drawn(HEADS["bins"], outputs_BP)
    bins = Categorical(logits=outputs_BP.unflatten(1, (D, 5)))
    expected = bins.log_prob(((candidates_BKD + 1.0) * 2.0).round().transpose(0, 1)).sum(-1).T
    assert torch.allclose(sampler.log_prob(outputs_BP, candidates_BKD.flatten(1)), expected, atol=1e-5)
    assert torch.allclose(sampler.entropy(outputs_BP), bins.entropy().sum(-1))


@heads
def test_draws_have_the_policys_distribution_over_many_states(config):
    outputs_BP = random_outputs(config, rows=1).expand(4000, -1)
    _, candidates_BKD, _ = drawn(config, outputs_BP, torch.rand(4000, S))
    one, all_of_them = candidates_BKD[:, 3], candidates_BKD.flatten(0, 1)
    if config.action_head == "bins":
        expected = torch.softmax(outputs_BP[0].view(D, 5), -1) @ torch.linspace(-1.0, 1.0, 5)
    else:
        mean_D, spread_D = outputs_BP[0].chunk(2)
        base = Normal(
            2.5 * torch.tanh(mean_D / 2.5), 0.1 + torch.nn.functional.softplus(spread_D + np.log(np.expm1(0.9)))
        )
        expected = base.sample((100_000,)).tanh().mean(0)
    assert (one.mean(0) - expected).abs().max() < 0.05
    assert (all_of_them.mean(0) - expected).abs().max() < 0.02


@heads
def test_prior_is_uniform_over_draws_from_the_policy_itself(config):
    _, _, logits_BK = drawn(config, random_outputs(config))
    assert not logits_BK.any()


def test_prior_over_three_draws_of_a_flattened_policy_is_pi_over_beta_by_hand():
    """pi = (8, 1, 1) / 10 over the values -1, 0, 1; at temperature 2, beta = sqrt(pi) / sum."""
    config = dataclasses.replace(HEADS["bins"], action_bins=3, sample_temperature=2.0)
    outputs_BP = torch.tensor([[8.0, 1.0, 1.0]]).log()
    root = 8.0**0.5
    ratio = {-1.0: 0.8 / (root / (root + 2)), 0.0: 0.1 / (1 / (root + 2)), 1.0: 0.1 / (1 / (root + 2))}
    _, candidates_BKD, logits_BK = drawn(config, outputs_BP, num_candidates=3, action_size=1)
    draws = candidates_BKD[0, :, 0].tolist()
    assert len(set(draws)) >= 2
    assert logits_BK[0].exp().tolist() == pytest.approx([ratio[draw] for draw in draws])
    prior = torch.softmax(logits_BK[0], -1)
    assert prior.tolist() == pytest.approx([ratio[draw] / sum(ratio[each] for each in draws) for draw in draws])


def test_flattened_gaussian_draws_spread_more_widely_and_weigh_less_far_out():
    config = HEADS["squashed-gaussian"]
    outputs_BP, state_BS = torch.zeros(1, 2), torch.rand(1, S)
    _, narrow_BKD, _ = drawn(config, outputs_BP, state_BS, action_size=1)
    flat = dataclasses.replace(config, sample_temperature=4.0)
    _, wide_BKD, logits_BK = drawn(flat, outputs_BP, state_BS, action_size=1)
    draws = wide_BKD[0, :, 0].atanh()
    is_inside = draws.abs() < 2.5  # further out float32 hardly tells tanh from 1
    assert is_inside.sum() > K // 2
    assert torch.allclose(draws[is_inside], 2.0 * narrow_BKD[0, is_inside, 0].atanh(), atol=1e-3)
    expected = Normal(0.0, 1.0).log_prob(draws) - Normal(0.0, 2.0).log_prob(draws)
    assert torch.allclose(logits_BK[0], expected, atol=1e-2)


@heads
def test_same_state_has_the_same_candidates_and_others_have_others(config):
    outputs_BP, state_BS = random_outputs(config, 1).expand(3, -1), torch.rand(3, S)
    state_BS[1] = state_BS[0]
    _, candidates_BKD, _ = drawn(config, outputs_BP, state_BS)
    assert torch.equal(candidates_BKD[0], candidates_BKD[1])
    assert not torch.equal(candidates_BKD[0], candidates_BKD[2])


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("head", HEADS)
def test_dynamics_sees_the_candidate_that_a_place_names(kind, head):
    model, shape = model_of(kind, head)
    root = model.initial_inference(torch.rand(2, *shape))
    assert root.hidden_state.shape == (2, model.state_size + K * D) == (2, *model.hidden_shape)
    assert root.policy_logits_BA.shape == (2, K + K * D) == (2, model.num_policy_columns)
    vectors_BKD = root.policy_logits_BA[:, K:].unflatten(1, (K, D))
    child = model.recurrent_inference(root.hidden_state, torch.tensor([4, 19], dtype=torch.int32))
    state = root.hidden_state[:, : model.state_size].unflatten(1, model.state_shape)
    reward, after = model.step(state, torch.stack([vectors_BKD[0, 4], vectors_BKD[1, 19]]))
    assert torch.allclose(child.reward_logits_BM, reward, atol=1e-6)
    assert torch.allclose(child.hidden_state[:, : model.state_size], after.flatten(1), atol=1e-6)


@pytest.mark.parametrize("kind", SHAPES)
def test_rows_of_a_server_hold_what_the_model_answers(kind):
    model, shape = model_of(kind, "squashed-gaussian")
    observation, place = torch.rand(3, *shape), torch.tensor([0, 7, 13], dtype=torch.int32)
    rows = RowModel(model, torch.float32)
    with torch.no_grad():
        row_RF, root_RC = rows.root(observation)
        _, child_RC = rows.child(row_RF, place)
        root = model.initial_inference(observation)
        child = model.recurrent_inference(root.hidden_state, place)
    for found, output in ((root_RC, root), (child_RC, child)):
        expected = torch.cat([model.reward(output)[:, None], model.value(output)[:, None], output.policy_logits_BA], 1)
        assert torch.allclose(found, expected, atol=1e-4)


def test_vectors_in_bfloat16_are_played_as_the_dynamics_sees_them():
    model, shape = model_of("mlp", "squashed-gaussian")
    folded = FoldedModel(model, torch.device("cpu"), torch.bfloat16)
    folded.load(torch.from_numpy(FlatWeights(model).read()))
    rows = RowModel(folded.model, torch.bfloat16)
    with torch.no_grad():
        row_RF, answer_RC = rows.root(torch.rand(3, *shape))
    assert torch.equal(answer_RC[:, -K * D :], row_RF[:, -K * D :].float())
    assert answer_RC[:, -K * D :].abs().sum() > 0.0


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_runtimes_of_cpus_draw_the_models_candidates(kind, head, runtime):
    pytest.importorskip(runtime)
    from mzpipe.nets.engines.host_network import HostFlight, HostNetwork
    from mzpipe.nets.engines.host_pool import HostPool
    from mzpipe.nets.engines.onnx_inference import inference_graphs
    from mzpipe.nets.engines.onnxruntime_sessions import onnxruntime_maker
    from mzpipe.nets.engines.openvino_sessions import openvino_maker

    model, shape = model_of(kind, head)
    observation, place = np.random.default_rng(0).random((3, *shape), np.float32), np.array([0, 7, 13], np.int32)
    pool, graphs = (
        HostPool(6, model.hidden_shape, 3, model.num_policy_columns),
        inference_graphs(model, torch.rand(1, *shape)),
    )
    maker = onnxruntime_maker(graphs, pool, num_threads=1)
    if runtime == "openvino":
        maker = openvino_maker(graphs, pool, num_threads=1, bfloat16=False)
    network = HostNetwork(maker, pool, HostFlight(pool, shape, "float32"))
    network.load(FlatWeights(model).read())
    with torch.no_grad():
        root = model.initial_inference(torch.from_numpy(observation))
        child = model.recurrent_inference(root.hidden_state, torch.from_numpy(place))
    found = network.infer_roots(observation, np.arange(3)).copy()
    assert np.abs(found[:, 2:] - root.policy_logits_BA.numpy()).max() < 1e-3
    found = network.infer_children(np.arange(3), 3 + np.arange(3), place)
    assert np.abs(found[:, 2:] - child.policy_logits_BA.numpy()).max() < 1e-3
    assert np.abs(found[:, 0] - model.reward(child).numpy()).max() < 1e-3


def test_model_of_a_list_of_actions_has_no_sampler_and_its_old_names():
    model = Model(NetworkConfig(**SMALL), (4,), 3)
    assert model.sampler is None and model.num_policy_columns == 3 and model.hidden_shape == (S,)
    assert "dynamics.action.weight" in model.state_dict() and not any("sampler" in name for name in model.state_dict())
