"""Augmentation: the shift against padding and cropping, the draws, and which images of the loss it changes."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest, norm, truncnorm

from mzpipe.config import LearnerConfig
from mzpipe.learner import augment as module
from mzpipe.learner.augment import Augmentation, draw_factors, draw_offsets, shifted
from mzpipe.learner.loss import LossFunction, muzero_loss
from tests.learner.batches import UNROLL, make_batch, make_image_model, with_frames
from tests.naive.augment import augmented

CPU = torch.device("cpu")
SIDE = 16
BOTH = Augmentation(shift=3, intensity=0.05)


def image_model(training=True):
    return make_image_model((2, SIDE, SIDE)).train(training)


def image_batch():
    generator = torch.Generator().manual_seed(1)

    def images(*shape):
        return torch.randint(0, 256, (*shape, 2, SIDE, SIDE), generator=generator, dtype=torch.uint8)

    batch = make_batch()
    size = len(batch.weight_B)
    return with_frames(batch._replace(frame_BF=images(size, 1)), images(size, UNROLL))


class Draws:
    """Records the draws of an augmentation, and what the representation function then sees."""

    def __init__(self, monkeypatch, model):
        self.offsets, self.factors, self.seen = [], [], []
        for name, record in (("draw_offsets", self.offsets), ("draw_factors", self.factors)):
            monkeypatch.setattr(module, name, self._recording(getattr(module, name), record))
        model.representation.register_forward_hook(lambda layer, inputs, output: self.seen.append(inputs[0].numpy()))

    def _recording(self, draw, record):
        def drawn(*arguments):
            record.append(draw(*arguments))
            return record[-1]

        return drawn

    def twin(self, call, images):
        return augmented(images, self.offsets[call].numpy(), self.factors[call].numpy())


@pytest.mark.parametrize("shape", [(2, 5, 7), (3, 2, 6, 6)])
@pytest.mark.parametrize("shift", [1, 4, 16])
def test_shifted_images_equal_those_padded_with_their_border_and_cropped(shift, shape):
    rng = np.random.default_rng(shift)
    image = rng.normal(size=(40, *shape)).astype(np.float32)
    offset_B2 = rng.integers(-shift, shift + 1, (40, 2))
    offset_B2[:2] = [[shift, -shift], [0, 0]]
    found = shifted(torch.from_numpy(image).flatten(1, -3), torch.from_numpy(offset_B2)).view(image.shape).numpy()
    np.testing.assert_array_equal(found, augmented(image, offset_B2, np.ones(40, np.float32)))


def test_offsets_are_equally_likely_in_both_directions_and_independent():
    torch.manual_seed(0)
    offset_B2 = draw_offsets(49_000, 3, CPU).numpy() + 3
    assert chisquare(np.bincount(7 * offset_B2[:, 0] + offset_B2[:, 1], minlength=49)).pvalue > 1e-3
    after = 7 * offset_B2[::2, 0] + offset_B2[1::2, 0]
    assert chisquare(np.bincount(after, minlength=49)).pvalue > 1e-3


def test_factors_are_normal_around_one_and_cut_off_at_two_deviations():
    torch.manual_seed(0)
    deviation_B = (draw_factors(50_000, 0.05, CPU).numpy().astype(np.float64) - 1.0) / 0.05
    cut_B = np.abs(deviation_B) > 1.999
    assert np.abs(deviation_B).max() == pytest.approx(2.0, abs=1e-5)
    assert cut_B.mean() == pytest.approx(2.0 * norm.sf(1.999), abs=3e-3)
    assert kstest(deviation_B[~cut_B], truncnorm(-1.999, 1.999).cdf).pvalue > 1e-3


@pytest.mark.parametrize("augmentation", [Augmentation(shift=2), Augmentation(intensity=0.1)])
def test_augmentation_leaves_out_what_is_zero(augmentation, monkeypatch):
    images = torch.rand(6, 2, 4, 4)
    draws = Draws(monkeypatch, image_model())
    found = augmentation.apply(images).numpy()
    assert (len(draws.offsets), len(draws.factors)) == (bool(augmentation.shift), bool(augmentation.intensity))
    offsets = draws.offsets[0].numpy() if draws.offsets else np.zeros((6, 2), np.int64)
    factors = draws.factors[0].numpy() if draws.factors else np.ones(6, np.float32)
    np.testing.assert_array_equal(found, augmented(images.numpy(), offsets, factors))


@pytest.mark.parametrize("consistency_steps", ["all", "one"])
def test_loss_draws_once_for_the_root_and_once_for_all_targets_of_a_sample(consistency_steps, monkeypatch):
    """What the model observes, here with a number taken away, is what is augmented."""
    model, batch = image_model(), image_batch()
    monkeypatch.setattr(model, "observe", lambda images: images.float() - 100.0)
    draws = Draws(monkeypatch, model)
    muzero_loss(model, batch, value_loss_weight=1.0, augmentation=BOTH, consistency_steps=consistency_steps)
    root, targets = draws.seen
    assert (len(draws.offsets), len(draws.factors)) == (2, 2)
    assert (draws.offsets[0] != draws.offsets[1]).any()
    np.testing.assert_array_equal(root, draws.twin(0, batch.observation.float().numpy() - 100.0))
    expected = draws.twin(1, batch.frame_BF[:, 1:].float().numpy() - 100.0)
    if consistency_steps == "all":
        np.testing.assert_array_equal(targets.reshape(expected.shape), expected)
    else:
        assert all((target == steps).all((1, 2, 3)).any() for target, steps in zip(targets, expected, strict=True))


def test_loss_sees_clean_images_and_draws_nothing_when_the_model_does_not_train(monkeypatch):
    model, batch = image_model(training=False), image_batch()
    draws, state = Draws(monkeypatch, model), torch.get_rng_state()
    losses = muzero_loss(model, batch, value_loss_weight=1.0, augmentation=BOTH)
    assert losses.total == muzero_loss(model, batch, value_loss_weight=1.0).total
    np.testing.assert_array_equal(draws.seen[0], batch.observation.numpy() / np.float32(255.0))
    assert torch.equal(torch.get_rng_state(), state)


def test_loss_draws_nothing_when_the_profile_says_nothing():
    loss, batch = LossFunction(image_model(), LearnerConfig()), image_batch()
    state = torch.get_rng_state()
    loss(batch)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_loss_function_augments_as_the_profile_says_in_either_precision(precision, monkeypatch):
    model, config = image_model(), LearnerConfig(augment_shift=4, augment_intensity=0.05, precision=precision)
    draws = Draws(monkeypatch, model)
    losses = LossFunction(model, config)(image_batch())
    losses.total.backward()
    assert torch.isfinite(losses.total)
    assert max(int(offset.abs().max()) for offset in draws.offsets) == 4
    assert all(gradient.isfinite().all() for gradient in (each.grad for each in model.parameters()))
    np.testing.assert_allclose(draws.seen[0], draws.twin(0, image_batch().observation.numpy() / np.float32(255.0)))
