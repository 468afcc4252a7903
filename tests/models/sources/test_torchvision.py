"""Backbones of torchvision against torchvision's own networks, weights records and presets."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from scaling_ood.models import WeightsUnavailableError, architecture, published_digest, published_network
from scaling_ood.models.sources.torchvision import torchvision_architecture, torchvision_names

# One of each way in which torchvision's networks end, and the two that have heads beside their head.
KINDS = ("resnet18", "mobilenet_v3_small", "squeezenet1_1", "vit_b_32", "swin_t", "maxvit_t", "googlenet")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> dict[str, nn.Module]:
    """Random weights in place of the published ones, in the networks that they were taken from."""
    whole: dict[str, nn.Module] = {}

    def state(weights: Any, **_: Any) -> dict[str, torch.Tensor]:
        name = type(weights).__name__.removesuffix("_Weights").lower()
        if name not in whole:
            torch.manual_seed(0)
            extra = {"transform_input": True, "init_weights": False} if name == "googlenet" else {}
            whole[name] = models.get_model(name, weights=None, **extra).eval()
        return whole[name].state_dict()

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", state)
    return whole


@pytest.mark.parametrize("name", KINDS)
def test_the_features_have_the_recorded_width_in_training_and_in_evaluation(name: str) -> None:
    registered = architecture(name)
    backbone, head = registered.build(False)
    assert head is None
    size = registered.preprocessing.crop_px
    for mode in (True, False):
        with torch.inference_mode():
            assert backbone.train(mode)(torch.zeros(2, 3, size, size)).shape == (2, registered.features)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "googlenet"])
def test_backbone_and_head_are_the_whole_network_cut_in_two(name: str, fetched: dict[str, nn.Module]) -> None:
    backbone, head = architecture(name).build(True)
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(head(backbone.eval()(images)), fetched[name](images))


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "squeezenet1_1"])
def test_a_backbone_without_weights_takes_the_state_of_one_with(name: str, fetched: dict[str, nn.Module]) -> None:
    (published, _), (empty, _) = architecture(name).build(True), architecture(name).build(False)
    empty.load_state_dict(published.state_dict())
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(published.eval()(images), empty.eval()(images))


def test_squeezenets_ends_in_a_convolution_and_gives_its_averaged_last_maps(fetched: dict[str, nn.Module]) -> None:
    registered = architecture("squeezenet1_1")
    backbone, head = registered.build(True)
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        maps = fetched["squeezenet1_1"].features(images)
        torch.testing.assert_close(backbone.eval()(images), maps.mean(dim=(2, 3)))
    assert (head, registered.classes) == (None, 0)


def test_a_published_network_is_the_librarys_own(fetched: dict[str, nn.Module]) -> None:
    network = published_network("resnet18", 1000).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(images)["logits"], fetched["resnet18"](images))


@pytest.mark.parametrize("name", ["resnet101", "resnet101.imagenet1k_v2", "efficientnet_b1", "vit_b_16", "swin_t"])
def test_the_preprocessing_is_that_of_the_weights_own_presets(name: str) -> None:
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (90, 130, 3)).astype(np.uint8)).resize((500, 333))
    network, _, weights = name.partition(".")
    presets = models.get_model_weights(network)[(weights or "imagenet1k_v1").upper()].transforms()
    preprocessing = architecture(name).preprocessing
    actual = preprocessing.normalise(preprocessing.crop(image)[None])[0]
    torch.testing.assert_close(actual, presets(image), rtol=0, atol=1e-5)


def test_a_bare_name_is_its_first_weights_those_of_the_paper() -> None:
    paper, later = architecture("resnet101"), architecture("resnet101.imagenet1k_v2")
    assert paper.weights_file == architecture("resnet101.imagenet1k_v1").weights_file
    assert (paper.features, paper.classes, paper.published_top1, paper.weights_digest) == (
        2048,
        1000,
        0.77374,
        "63fe2227",
    )
    assert paper.weights == "ResNet101_Weights.IMAGENET1K_V1 (torchvision, BSD-3)"
    assert (later.published_top1, later.weights_digest) == (0.81886, "cd907fc2")


def test_the_digest_of_published_weights_is_known_without_fetching_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(models.WeightsEnum, "get_state_dict")
    assert published_digest("resnet101") == "63fe2227"


@pytest.mark.slow
def test_every_network_of_torchvision_has_a_record() -> None:
    for name in torchvision_names():
        registered = architecture(name)
        assert set(registered.weights_digest) <= set("0123456789abcdef"), name
        assert len(registered.weights_digest) >= 8
        assert registered.weights_file.endswith(f"-{registered.weights_digest}.pth")
        assert 0.5 < registered.published_top1 < 0.9
        assert registered.classes == (0 if name.startswith("squeezenet") else 1000)


def test_unknown_weights_name_the_nearest_and_all_known_ones() -> None:
    message = "resnet101 has no published weights 'imagenet1k_v3'; did you mean 'imagenet1k_v2'"
    with pytest.raises(ValueError, match=message) as caught:
        architecture("resnet101.imagenet1k_v3")
    assert "(known: imagenet1k_v1, imagenet1k_v2)" in str(caught.value)


def test_weights_that_are_no_classifiers_are_not_offered() -> None:
    with pytest.raises(ValueError, match=r"known: imagenet1k_v1\)"):
        architecture("vgg16.imagenet1k_features")


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_weights_file_with_code_in_it_is_refused_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    mark = tmp_path / "it_ran"
    torch.save({"fc.weight": Harmful(mark)}, folder / architecture("resnet18").weights_file, pickle_module=pickle)
    with pytest.raises(
        WeightsUnavailableError, match=r"of resnet18 cannot be loaded \(Weights only load failed\).*/checkpoints"
    ):
        architecture("resnet18").build(True)
    assert not mark.exists()


def test_looking_a_network_up_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    torchvision_architecture.cache_clear()
    architecture("mobilenet_v3_small")
    assert torch.equal(torch.get_rng_state(), before)


def test_random_weights_depend_on_the_global_seed() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return next(iter(architecture("googlenet").build(False)[0].parameters()))

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))
