"""Confidence branch: the score, the losses against a transcription of the released code, the coins, the budget."""

import pytest
import torch

from scaling_ood.detectors import Outputs, build_detector
from scaling_ood.detectors.confidence_branch import hinted_losses, hints, next_weight


def released_losses(logits, confidence, labels, coins):
    """The training step of the released code, for images, in double precision."""
    epsilon = 1e-12
    posterior = logits.softmax(1).clamp(epsilon, 1 - epsilon)
    confidence = confidence.sigmoid().clamp(epsilon, 1 - epsilon)[:, None]
    one_hot = torch.nn.functional.one_hot(labels, logits.shape[1])
    mixed = confidence * coins.double()[:, None] + (1 - coins.double()[:, None])
    posterior = posterior * mixed + one_hot * (1 - mixed)
    return torch.nn.functional.nll_loss(posterior.log(), labels), -confidence.log().mean()


def make(shape=(40,), classes=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    logits = 3 * torch.randn(shape[0], classes, *shape[1:], **options)
    confidence = 2 * torch.randn(shape, **options)
    labels = torch.randint(classes, shape, generator=generator)
    return logits, confidence, labels, hints(confidence, generator)


def score(confidence):
    return build_detector("confidence_branch").score(Outputs(torch.zeros(len(confidence), 2), confidence=confidence))


def test_ranks_as_doubt_does_and_does_not_saturate():
    confidence = torch.linspace(-4, 4, 200, dtype=torch.float64)
    doubt = 1 - confidence.sigmoid()
    torch.testing.assert_close(score(confidence), (doubt / (1 - doubt)).log())
    sure = torch.linspace(20, 300, 200)
    assert len((1 - sure.sigmoid()).unique()) == 1
    assert (score(sure).diff() < 0).all()
    assert (score(-sure).diff() > 0).all()


def test_losses_equal_the_released_code():
    logits, confidence, labels, coins = make()
    assert 0 < coins.sum() < len(coins)
    for actual, expected in zip(
        hinted_losses(logits, confidence, labels, coins),
        released_losses(logits, confidence, labels, coins),
        strict=True,
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=0)


def test_pixels_are_like_images_and_ignored_ones_do_not_count():
    logits, confidence, labels, coins = make((2, 4, 5))
    labels[0, 1] = labels[1, 2, 3] = 255
    used = labels != 255
    flat = logits.permute(0, 2, 3, 1)[used]
    expected = hinted_losses(flat, confidence[used], labels[used], coins[used])
    torch.testing.assert_close(hinted_losses(logits, confidence, labels, coins, ignore_index=255), expected)


def test_without_hints_the_task_is_cross_entropy():
    logits, confidence, labels, coins = make()
    task, _ = hinted_losses(logits, confidence, labels, torch.zeros_like(coins))
    torch.testing.assert_close(task, torch.nn.functional.cross_entropy(logits, labels))


def test_losses_and_gradients_of_extreme_logits_are_finite():
    logits = torch.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
    confidence = torch.tensor([1e3, -1e3], requires_grad=True)
    task, cost = hinted_losses(logits, confidence, torch.tensor([1, 1]), torch.tensor([True, True]))
    (task + 0.1 * cost).backward()
    assert logits.grad is not None
    assert confidence.grad is not None
    assert torch.stack([task, cost]).isfinite().all()
    assert logits.grad.isfinite().all()
    assert confidence.grad.isfinite().all()


def test_asking_for_hints_helps_where_the_network_is_wrong():
    logits, labels, hinted = torch.tensor([[5.0, 0.0]]), torch.tensor([1]), torch.tensor([True])
    unsure, sure = (hinted_losses(logits, torch.tensor([c]), labels, hinted)[0] for c in (-2.0, 2.0))
    assert unsure < sure


def test_coins_are_fair_reproducible_and_shared_if_asked():
    confidence = torch.zeros(400, 3, 5)
    own, shared = (hints(confidence, torch.Generator().manual_seed(0), per) for per in ("pixel", "image"))
    for coins in (own, shared):
        assert coins.shape == confidence.shape
        assert coins.dtype == torch.bool
        assert 0.4 < coins.double().mean() < 0.6
    assert torch.equal(own, hints(confidence, torch.Generator().manual_seed(0)))
    assert (shared == shared[:, :1, :1]).all()
    assert not (own == own[:, :1, :1]).all()
    assert hints(torch.zeros(7), torch.Generator(), "image").shape == (7,)
    with pytest.raises(ValueError, match="per must be 'pixel' or 'image', not 'row'"):
        hints(confidence, torch.Generator(), "row")


def test_the_weight_follows_the_budget():
    assert next_weight(0.1, cost=0.29) == 0.1 / 1.01
    assert next_weight(0.1, cost=0.3) == 0.1 / 0.99
    assert next_weight(0.1, cost=0.29, budget=0.2) == 0.1 / 0.99
