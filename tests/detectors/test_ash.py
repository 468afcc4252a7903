"""Activation shaping: hand values, pytorch-ood, ties, and what it does to images without activations."""

import math
import re

import pytest
import torch
from pytorch_ood.detector import ASH

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList, build_detector
from scaling_ood.detectors.ash import shaped


def shape(features, variant, percentile):
    places, kept = shaped(features, variant, percentile)
    return torch.zeros_like(features).scatter_(1, places, kept)


variants = pytest.mark.parametrize("variant", ["s", "b", "p"])


def test_hand_values():
    features = torch.tensor([[4.0, 1.0, 2.0, 1.0]], dtype=torch.float64)
    assert shape(features, "p", 50).tolist() == [[4, 0, 2, 0]]
    assert shape(features, "b", 50).tolist() == [[4, 0, 4, 0]]
    grown = math.exp(8 / 6)
    assert shape(features, "s", 50).tolist() == [pytest.approx([4 * grown, 0, 2 * grown, 0])]
    assert shape(features, "p", 0).tolist() == features.tolist()
    assert shape(features, "p", 99.9).tolist() == [[4, 0, 0, 0]]


@variants
@pytest.mark.parametrize("percentile", [0, 65, 90])
def test_equals_pytorch_ood(view, chunk, variant, percentile):
    """Faithful on pooled features, which is where the authors' own code shapes a ResNet-50; but for ties, see below."""
    features = chunk.features.double() + torch.linspace(0.01, 0.02, 16, dtype=torch.float64)
    theirs = ASH(None, lambda maps: view.head.logits(maps.flatten(1)), f"ash-{variant}", percentile / 100)
    expected = theirs.predict_feature_maps(features[:, :, None, None])
    actual = build_detector("ash", variant=variant, percentile=percentile).fit(view).score(Outputs(features=features))
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def test_of_equal_activations_the_first_are_kept():
    features = torch.tensor([[1.0, 2.0, 1.0, 1.0], [0.0, 0.0, 0.0, 4.0]])
    assert shape(features, "b", 50).tolist() == [[2.5, 2.5, 0, 0], [2, 0, 0, 2]]


@variants
def test_images_without_activations_keep_none(view, chunk, variant):
    dark = Outputs(chunk.logits, 0 * chunk.features)
    scores = build_detector("ash", variant=variant).fit(view).score(dark)
    torch.testing.assert_close(scores, torch.full((48,), -math.log(12), dtype=torch.float64))


def test_negative_activations_are_a_gap(view):
    signed = Outputs(torch.zeros(2, 12), torch.tensor([[1.0] * 16, [0.0] * 15 + [-1e-6]]))
    with pytest.raises(
        NotApplicableError, match="some activations of the fit images are negative, as none after a ReLU"
    ):
        build_detector("ash").fit(OutputsList([signed], head=view.head))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "ash_s"}, "variant must be 's' or 'b' or 'p', not 'ash_s'"),
        ({"percentile": 100}, "percentile must be a number of at least 0 and under 100, not 100"),
        ({"percentile": None}, "percentile must be a number of at least 0 and under 100, not None"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        build_detector("ash", **options)
