"""The registry of segmenters."""

import pytest
import torch

from scaling_ood.models import Start, architecture
from scaling_ood.models.segmentation import SEGMENTERS, build_segmenter, segmenter


def weights(seed: int, start: Start = "random") -> dict[str, torch.Tensor]:
    return build_segmenter("pspnet_resnet10", 3, seed=seed, start=start, width=8).state_dict()


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = weights(5), weights(6)
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


@pytest.mark.parametrize("name", sorted(SEGMENTERS))
def test_a_segmenter_with_published_weights_says_which_and_one_without_has_none(name: str) -> None:
    registered = segmenter(name)
    without = name == "pspnet_resnet10" or name.endswith("_deepstem")
    assert bool(registered.weights) == bool(registered.weights_digest) == (not without)


def test_weights_from_torchvision_are_told_by_the_digest_in_their_file_name() -> None:
    registered = segmenter("pspnet_resnet18")
    assert registered.weights == "ResNet18_Weights.IMAGENET1K_V1 (torchvision, BSD-3)"
    assert registered.weights_digest == "f37072fd"


def test_preprocessing_belongs_to_the_encoders_weights() -> None:
    assert segmenter("pspnet_resnet101").preprocessing.mean == (0.485, 0.456, 0.406)
    assert segmenter("pspnet_efficientnet_lite0").preprocessing == architecture("efficientnet_lite0").preprocessing


def test_published_weights_are_refused_where_there_are_none() -> None:
    with pytest.raises(ValueError, match="'pspnet_resnet10' has no published weights"):
        weights(0, "published")


@pytest.mark.parametrize(("given", "nearest"), [("pspnet_resnet11", "pspnet_resnet10"), ("unet", None)])
def test_an_unknown_segmenter_names_the_nearest_and_all_known_ones(given: str, nearest: str | None) -> None:
    with pytest.raises(ValueError, match=f"unknown segmenter '{given}'") as caught:
        segmenter(given)
    assert ("did you mean" in str(caught.value)) is (nearest is not None)
    assert all(name in str(caught.value) for name in SEGMENTERS)


def test_width_classes_and_confidence_head_are_options() -> None:
    model = build_segmenter("pspnet_efficientnet_lite0_short", 7, seed=0, start="published", width=24, confidence=True)
    assert model.classifier.weight.shape == (7, 24, 1, 1)
    assert model.confidence is not None
    assert model.auxiliary[0].weight.shape == (20, 40, 3, 3)
