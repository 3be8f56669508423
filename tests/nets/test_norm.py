"""Batch normalisation: torch's numbers and state, without a count on the device."""

import copy

import pytest
import torch
from torch import nn

from mzpipe.nets.norm import BatchNorm1d, BatchNorm2d
from tests.stand_in_gpu import counted

KINDS = [(BatchNorm1d, nn.BatchNorm1d, (5, 3)), (BatchNorm2d, nn.BatchNorm2d, (5, 3, 4, 4))]
KINDS_BY_NAME = pytest.mark.parametrize(("kind", "torchs", "shape"), KINDS, ids=["1d", "2d"])


def inputs(shape, count=4):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) * 3 + 1 for _ in range(count)]


@KINDS_BY_NAME
def test_norm_gives_torchs_bits_when_it_trains_measures_and_plays(kind, torchs, shape):
    ours, theirs = kind(3), torchs(3)
    for momentum in (0.1, None, None, 0.1):
        for norm in (ours, theirs):
            norm.momentum = momentum
            norm.train()
            if momentum is None:
                norm.reset_running_stats()
        for rows in inputs(shape):
            assert torch.equal(ours(rows), theirs(rows))
        for norm in (ours, theirs):
            norm.eval()
        assert torch.equal(ours(inputs(shape)[0]), theirs(inputs(shape)[0]))
        assert torch.equal(ours.running_mean, theirs.running_mean)
        assert torch.equal(ours.running_var, theirs.running_var)


@KINDS_BY_NAME
def test_state_of_a_norm_loads_from_and_into_torchs(kind, torchs, shape):
    ours, theirs = kind(3), torchs(3)
    theirs(inputs(shape)[0])
    kept = copy.deepcopy(theirs.state_dict())
    ours.load_state_dict(kept)
    assert ours.state_dict().keys() == kept.keys()
    assert ours.num_batches_tracked == kept["num_batches_tracked"] == 1
    theirs.load_state_dict(ours.state_dict())
    assert all(torch.equal(value, kept[name]) for name, value in theirs.state_dict().items())


@pytest.mark.on_gpu
def test_norm_is_one_launch_on_a_gpu_and_waits_for_nothing():
    for momentum in (0.1, None):
        norm, rows = BatchNorm1d(3, momentum=momentum).cuda(), torch.ones(5, 3, device="cuda")
        with counted() as seen:
            norm(rows)
        assert (seen.launches, seen.syncs) == (1, 0)
