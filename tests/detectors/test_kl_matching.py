"""KL matching: scipy's entropy pair by pair, pytorch-ood, and what becomes of classes that are never predicted."""

import math
import re

import numpy as np
import pytest
import torch
from pytorch_ood.detector import KLMatching
from scipy.special import softmax
from scipy.stats import entropy

from scaling_ood.detectors import NotApplicableError, Outputs, build_detector


def templates_of(logits):
    """Mean posterior of the images predicted as each class, for the classes that are predicted at all."""
    posteriors = softmax(logits.double().numpy(), axis=1)
    predicted = posteriors.argmax(axis=1)
    return np.array([posteriors[predicted == k].mean(axis=0) for k in np.unique(predicted)])


def pair_by_pair(fit_logits, logits):
    """min over the templates of KL[p || d], one scipy call per pair."""
    templates = templates_of(fit_logits)
    return [min(entropy(p, d) for d in templates) for p in softmax(logits.double().numpy(), axis=1)]


def random_logits(images, classes, seed, scale=3.0):
    return scale * torch.randn(images, classes, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def fit(make_view):
    return lambda logits, **options: build_detector("kl_matching", **options).fit(make_view(logits))


def test_hand_value(fit):
    """Templates (3/4, 1/4) and (1/4, 3/4); an even posterior is log(2 / sqrt(3)) from both."""
    row = torch.tensor([math.log(3), 0.0], dtype=torch.float64)
    detector = fit(torch.stack([row] * 5 + [row.flip(0)] * 5))
    scores = detector.score(Outputs(torch.stack([row, row.flip(0), torch.zeros(2)]).double()))
    assert scores.tolist() == pytest.approx([0, 0, math.log(2 / math.sqrt(3))], abs=1e-15)


@pytest.mark.parametrize(("images", "classes"), [(60, 2), (200, 12), (400, 40)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_scipy_pair_by_pair(fit, images, classes, dtype):
    fit_logits, logits = random_logits(images, classes, 0).to(dtype), random_logits(30, classes, 1).to(dtype)
    scores = fit(fit_logits).score(Outputs(logits))
    np.testing.assert_allclose(scores, pair_by_pair(fit_logits, logits), rtol=1e-10, atol=1e-13)


def test_equals_pytorch_ood(fit):
    """Faithful from 0.4.0 on; older releases grouped by true label and compared with the predicted class only."""
    fit_logits, logits = random_logits(300, 20, 2).double(), random_logits(50, 20, 3).double()
    expected = KLMatching(None).fit_logits(fit_logits).predict_logits(logits)
    torch.testing.assert_close(fit(fit_logits).score(Outputs(logits)), expected, rtol=1e-10, atol=1e-12)


def test_the_nearest_template_counts_not_the_predicted_class(fit):
    sure, torn = torch.tensor([9.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 1.9])
    detector = fit(torch.stack([sure] * 8 + [torn] * 8))
    other = torch.tensor([[0.0, 1.9, 2.0]])  # predicted as class 2, which has no template
    p, d = (softmax(row.double().numpy()) for row in (other[0], torn))
    assert detector.score(Outputs(other)).item() == pytest.approx(entropy(p, d), rel=1e-9)


def test_classes_that_are_never_predicted_have_no_template(fit):
    fit_logits = random_logits(100, 8, 4)
    fit_logits[:, [2, 5]] = -50.0
    logits = random_logits(20, 8, 5)
    detector = fit(fit_logits)
    np.testing.assert_allclose(detector.score(Outputs(logits)), pair_by_pair(fit_logits, logits), rtol=1e-10)
    counts = np.bincount(fit_logits.argmax(1), minlength=8)
    assert np.flatnonzero(counts == 0).tolist() == [2, 5]
    assert detector.diagnostics() == {
        "templates": 6.0,
        "templates_share": 0.75,
        "images_per_template_mean": pytest.approx(100 / 6),
        "images_per_template_min": float(counts[counts > 0].min()),
    }


def test_an_image_that_is_its_own_template_scores_zero(fit):
    row = random_logits(1, 6, 6)
    assert fit(row.repeat(30, 1)).score(Outputs(row)).item() == pytest.approx(0, abs=1e-14)


def test_never_below_zero_but_for_rounding(fit):
    assert fit(random_logits(600, 9, 7)).score(Outputs(random_logits(600, 9, 8))).min() > -1e-13


def test_templates_without_any_mass_are_far_but_not_infinitely(fit):
    """The softmax of 2,000 is exactly 0 elsewhere, where scipy's divergence is infinite."""
    detector = fit(2000 * torch.eye(4).repeat(5, 1))
    scores = detector.score(Outputs(torch.stack([2000 * torch.eye(4)[0], torch.zeros(4)])))
    assert scores[0].item() == 0
    assert 100 < scores[1].item() < math.inf


@pytest.mark.parametrize("chunk_rows", [1, 7, 50, 10_000])
def test_chunk_rows_changes_no_score(fit, chunk_rows):
    fit_logits, logits = random_logits(200, 12, 9), random_logits(50, 12, 10)
    expected = fit(fit_logits).score(Outputs(logits))
    actual = fit(fit_logits, chunk_rows=chunk_rows).score(Outputs(logits))
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("classes", [2, 10])
def test_five_images_per_class_are_enough_and_one_fewer_is_not(fit, classes):
    fit(random_logits(5 * classes, classes, 11))
    too_few = random_logits(5 * classes - 1, classes, 11)
    message = (
        f"too few fit images ({5 * classes - 1} images fill {len(templates_of(too_few))} of {classes} templates; "
        "at least 5 per class on average)"
    )
    with pytest.raises(NotApplicableError, match=f"^{re.escape(message)}$"):
        fit(too_few)


def test_no_image_to_fit_on_is_a_gap(fit):
    with pytest.raises(NotApplicableError, match=r"^too few fit images \(none\)$"):
        fit(torch.zeros(0, 5))


@pytest.mark.parametrize("chunk_rows", [0, -1, 1.5, "all", None])
def test_chunk_rows_without_meaning_is_an_error(chunk_rows):
    with pytest.raises(ValueError, match=rf"^chunk_rows must be an integer of at least 1, not {chunk_rows!r}$"):
        build_detector("kl_matching", chunk_rows=chunk_rows)
