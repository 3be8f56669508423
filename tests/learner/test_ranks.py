"""Ranks: two processes with half a batch each take the step of one with the whole batch, and skip together."""

import errno
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from mzpipe.config import LearnerConfig
from mzpipe.learner import ranks as module
from mzpipe.learner.ranks import OneRank, Ranks, backend_of
from mzpipe.learner.step import TrainingStep
from mzpipe.learner.symmetries import Symmetries
from tests.learner.batches import make_batch, make_model
from tests.learner.test_symmetries import LINE

BATCH_SIZE = 128
CONFIG = LearnerConfig(learning_rate=0.01, batch_size=BATCH_SIZE)


def part(batch, rank, size):
    """One rank's rows."""
    rows = slice(rank * BATCH_SIZE // size, (rank + 1) * BATCH_SIZE // size)
    return type(batch)(*(None if field is None else field[rows] for field in batch))


def weighted_batch(seed):
    batch = make_batch(batch_size=BATCH_SIZE, seed=seed)
    return batch._replace(weight_B=torch.rand(BATCH_SIZE, generator=torch.Generator().manual_seed(seed)))


def flat(tensors):
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).numpy()


def train(step, batches):
    """(gradients of the last step that was taken, weights, which steps were skipped)."""
    skipped = [step(batch).skipped for batch in batches]
    parameters = list(step._model.parameters())
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    return flat(gradients), flat(parameters), np.array(skipped)


def run_rank(directory, rank, size, spoil):
    """The program of one rank."""
    from mzpipe.learner.ranks import Ranks

    torch.set_num_threads(1)
    ranks = Ranks(Path(directory), index=rank, size=size, epoch=0, device=torch.device("cpu"))
    step = TrainingStep(make_model(seed=rank), CONFIG, ranks=ranks)  # every rank takes rank 0's weights
    batches = [part(weighted_batch(seed), rank, size) for seed in range(3)]
    if spoil and rank == 1:
        batches[1].value_target_BK1[0, 0] = float("nan")
    gradients, weights, skipped = train(step, batches)
    latest = ranks.latest(10 * (rank + 1))
    del step
    ranks.close()
    np.savez(Path(directory) / f"rank-{rank}.npz", gradients=gradients, weights=weights, skipped=skipped, latest=latest)


def run_rank_with_statistics(directory, rank, size, _):
    """The same with batch statistics, which are other ones on every rank before a step that does not change them."""
    from mzpipe.learner.ranks import Ranks

    torch.set_num_threads(1)
    ranks = Ranks(Path(directory), index=rank, size=size, epoch=0, device=torch.device("cpu"))
    model = make_model(value_prefix=True)
    step, norm = TrainingStep(model, CONFIG, ranks=ranks), model.value_prefix.layers[0]
    norm.momentum = 0.0
    norm.running_mean.fill_(rank + 1.0)
    step(part(weighted_batch(0), rank, size))
    mean = norm.running_mean.numpy().copy()
    del step
    ranks.close()
    np.savez(Path(directory) / f"rank-{rank}.npz", mean=mean)


def results(directory, size, spoil=False, program=run_rank):
    name = program.__name__
    program = f"from tests.learner.test_ranks import {name}; {name}({str(directory)!r}, %d, {size}, {spoil})"
    children = [subprocess.Popen([sys.executable, "-c", program % rank]) for rank in range(size)]
    try:
        assert [child.wait(120) for child in children] == [0] * size
    finally:
        for child in children:
            child.kill()
            child.wait()
    return [np.load(directory / f"rank-{rank}.npz") for rank in range(size)]


@pytest.mark.slow
def test_two_ranks_of_64_have_the_gradient_of_one_of_128(tmp_path):
    first, second = results(tmp_path, 2)
    gradients, weights, _ = train(TrainingStep(make_model(), CONFIG), [weighted_batch(seed) for seed in range(3)])
    for name in ("gradients", "weights"):
        np.testing.assert_array_equal(first[name], second[name])
    np.testing.assert_allclose(first["gradients"], gradients, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(first["weights"], weights, rtol=1e-4, atol=1e-5)
    half, _, _ = train(TrainingStep(make_model(), CONFIG), [part(weighted_batch(seed), 0, 2) for seed in range(3)])
    assert not np.allclose(half, gradients, rtol=0.05)  # one rank's part alone has another gradient
    assert first["latest"] == second["latest"] == 20


def drawn_by(draws, monkeypatch):
    """Makes every loss turn its samples by these draws, one step after the other."""
    left = list(draws)
    monkeypatch.setattr(Symmetries, "draw", lambda self, num_samples: left.pop(0))


def run_rank_with_symmetries(directory, rank, size, _):
    """The same with samples that each rank turns by draws of its own."""
    from mzpipe.learner.ranks import Ranks

    torch.set_num_threads(1)
    ranks = Ranks(Path(directory), index=rank, size=size, epoch=0, device=torch.device("cpu"))
    step = TrainingStep(make_model(seed=rank), CONFIG, ranks=ranks, symmetries=LINE)
    draws_SB = torch.randint(2, (3, BATCH_SIZE // size), generator=torch.Generator().manual_seed(rank))
    with pytest.MonkeyPatch.context() as patch:
        drawn_by(draws_SB, patch)
        gradients, weights, _ = train(step, [part(weighted_batch(seed), rank, size) for seed in range(3)])
    del step
    ranks.close()
    np.savez(Path(directory) / f"rank-{rank}.npz", gradients=gradients, weights=weights, draws_SB=draws_SB.numpy())


@pytest.mark.slow
def test_two_ranks_turn_their_samples_as_one_would(tmp_path, monkeypatch):
    first, second = results(tmp_path, 2, program=run_rank_with_symmetries)
    draws_SB = np.concatenate([first["draws_SB"], second["draws_SB"]], axis=1)
    assert not np.array_equal(first["draws_SB"], second["draws_SB"])
    drawn_by(torch.from_numpy(draws_SB), monkeypatch)
    step = TrainingStep(make_model(), CONFIG, symmetries=LINE)
    gradients, weights, _ = train(step, [weighted_batch(seed) for seed in range(3)])
    for name in ("gradients", "weights"):
        np.testing.assert_array_equal(first[name], second[name])
    np.testing.assert_allclose(first["gradients"], gradients, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(first["weights"], weights, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_all_ranks_skip_a_step_that_one_of_them_cannot_take(tmp_path):
    first, second = results(tmp_path, 2, spoil=True)
    assert first["skipped"].tolist() == second["skipped"].tolist() == [False, True, False]
    np.testing.assert_array_equal(first["weights"], second["weights"])
    assert np.isfinite(first["weights"]).all()


@pytest.mark.slow
def test_every_rank_takes_the_batch_statistics_that_the_first_has_measured(tmp_path):
    first, second = results(tmp_path, 2, program=run_rank_with_statistics)
    assert (first["mean"] == 1.0).all()
    assert (second["mean"] == 1.0).all()


def fail_in_a_step(directory, rank, size, _):
    """Rank 1 fails where the others wait for it, and ends as a role does; the others' step raises."""
    from mzpipe.runtime.process import end_process

    torch.set_num_threads(1)
    ranks = Ranks(Path(directory), index=rank, size=size, epoch=0, device=torch.device("cpu"))
    step = TrainingStep(make_model(), CONFIG, ranks=ranks)
    step(part(weighted_batch(0), rank, size))
    if rank == 1:
        end_process(0)
    try:
        step(part(weighted_batch(1), rank, size))
    except RuntimeError as error:
        np.savez(Path(directory) / "rank-0.npz", error=str(error))
        end_process(0)


@pytest.mark.slow
def test_rank_whose_peer_ends_inside_a_step_fails_too_and_does_not_wait(tmp_path):
    program = "from tests.learner.test_ranks import fail_in_a_step; fail_in_a_step({!r}, {}, 2, False)"
    children = [subprocess.Popen([sys.executable, "-c", program.format(str(tmp_path), rank)]) for rank in range(2)]
    try:
        assert [child.wait(120) for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert "Connection" in str(np.load(tmp_path / "rank-0.npz")["error"])


def strange_connection(address):
    """The error number of an attempt to connect; 0 if it succeeds."""
    with socket.socket() as stranger:
        stranger.settimeout(0.5)
        return stranger.connect_ex(address)


def listen(directory, rank, size, _):
    """Notes where the rank listens, and what becomes of a stranger's attempt to connect to each rank."""
    torch.set_num_threads(1)
    ranks = Ranks(Path(directory), index=rank, size=size, epoch=0, device=torch.device("cpu"))
    listening = [each for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    ranks.latest(0)  # the other rank has connected as well
    came = [strange_connection(each.laddr) for each in listening]
    latest = ranks.latest(rank)
    ranks.close()
    np.savez(
        Path(directory) / f"rank-{rank}.npz", hosts=[each.laddr.ip for each in listening], came=came, latest=latest
    )


@pytest.mark.slow
def test_each_rank_listens_once_on_the_loopback_interface_and_turns_strangers_away(tmp_path):
    for found in results(tmp_path, 2, program=listen):
        assert found["hosts"].tolist() == ["127.0.0.1"]
        assert found["came"].tolist() == [errno.EAGAIN]  # no answer in time; 0 would be a connection
        assert found["latest"] == 1


def test_ranks_take_nccl_only_where_each_has_a_gpu_of_its_own():
    backends = [backend_of(devices) for devices in ((0, 1), (0, 0), (1, 0, 1), ("cpu", "cpu"))]
    assert backends == ["nccl", "gloo", "gloo", "gloo"]


def test_ranks_tell_nccl_their_device_and_gloo_none(tmp_path, monkeypatch):
    joined = []
    monkeypatch.setattr(module.dist, "init_process_group", lambda backend, **place: joined.append((backend, place)))
    gpu = torch.device("cuda:1")
    for backend in ("nccl", "gloo"):
        Ranks(tmp_path, index=1, size=2, epoch=0, device=gpu, backend=backend)
    assert [(backend, place["device_id"]) for backend, place in joined] == [("nccl", gpu), ("gloo", None)]


def test_one_rank_is_alone():
    rank, module = OneRank(), torch.nn.Linear(1, 1)
    assert rank.spread(module) is module
    assert rank.all(torch.tensor(True)) and not rank.all(torch.tensor(False))
    assert rank.latest(7) == 7
    rank.close()
