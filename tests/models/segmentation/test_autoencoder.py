"""The spatial autoencoder: its layers, its code, any size, its error."""

import pytest
import torch
from torch import nn

from scaling_ood.models.segmentation import SpatialAutoencoder, build_autoencoder, reconstruction_error


def test_the_layers_are_those_of_baur_et_al() -> None:
    model = SpatialAutoencoder()
    down = [part for part in model.down.modules() if isinstance(part, nn.Conv2d)]
    up = [part for part in model.up.modules() if isinstance(part, nn.ConvTranspose2d)]
    assert [(c.out_channels, c.kernel_size, c.stride) for c in down] == [
        (w, (5, 5), (2, 2)) for w in (32, 64, 128, 128)
    ]
    assert [(c.out_channels, c.kernel_size, c.stride) for c in up] == [(w, (5, 5), (2, 2)) for w in (128, 64, 32, 32)]
    assert len([part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]) == 8
    assert (model.dropout.p, model.output.kernel_size) == (0.2, (1, 1))


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (16, 16), (5, 70)])
def test_any_size_comes_back(size: tuple[int, int], skips: bool) -> None:
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert build_autoencoder(seed=0, skips=skips).eval().reconstruct(images).shape == images.shape


def test_the_code_is_a_sixteenth_of_the_image_and_stays_spatial() -> None:
    model = build_autoencoder(seed=0).eval()
    shapes = []
    model.dropout.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape)))
    model.reconstruct(torch.zeros(1, 3, 32, 48))
    assert shapes == [(1, 128, 2, 3)]


def test_without_skips_nothing_passes_by_the_code() -> None:
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for skips in (False, True):
        model = build_autoencoder(seed=0, skips=skips).eval()
        model.dropout.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
        assert torch.equal(model.reconstruct(images), model.reconstruct(-images)) is not skips


def test_initial_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (build_autoencoder(seed=seed).output.weight for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("difference", "expected"), [("l1", [[2.0, 0.0]]), ("l2", [[14 / 3, 0.0]])])
def test_the_error_of_a_pixel_is_the_mean_over_its_channels(difference: str, expected: list[list[float]]) -> None:
    images = torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]).view(1, 3, 1, 2)
    reconstruction = torch.tensor([[0.0, 5.0], [0.0, 5.0], [0.0, 5.0]]).view(1, 3, 1, 2)
    error = reconstruction_error(images, reconstruction, difference)
    torch.testing.assert_close(error, torch.tensor([expected]))


@pytest.mark.parametrize("difference", ["l1", "l2"])
def test_the_network_gives_the_error_of_its_own_reconstruction(difference: str) -> None:
    images = torch.randn(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    model = build_autoencoder(seed=0, difference=difference).eval()
    with torch.inference_mode():
        expected = reconstruction_error(images, model.reconstruct(images), difference)
        assert torch.equal(model(images)["reconstruction_error"], expected)


def test_half_precision_is_compared_in_single() -> None:
    error = reconstruction_error(torch.full((1, 3, 1, 1), 300.0), torch.zeros(1, 3, 1, 1, dtype=torch.float16), "l2")
    assert error.item() == 90000
