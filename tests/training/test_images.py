"""Training images: augmentation that is decided by the generator, and really happens."""

import pytest
import torch

from scaling_ood.images import Preprocessing
from scaling_ood.training.images import AugmentedImages, CachedFeatures, StreamedPixels

CPU = torch.device("cpu")
# (x / 255 - 0) / (1 / 255) = x: pixels reach the test as they are.
PLAIN = Preprocessing(8, 8, "bilinear", (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def batch(images: AugmentedImages, seed: int, indices: list[int]) -> torch.Tensor:
    return images.batch(torch.tensor(indices), torch.Generator().manual_seed(seed))


def shifts(image: torch.Tensor, most: int) -> dict[tuple[bool, int, int], torch.Tensor]:
    """Every flip and shift of an image (3, H, W) with repeated borders, by index arithmetic."""
    height, width = image.shape[1:]
    rows, columns = torch.arange(height), torch.arange(width)
    return {
        (flip, down, right): (image.flip(2) if flip else image)[
            :, (rows + down).clamp(0, height - 1)[:, None], (columns + right).clamp(0, width - 1)[None, :]
        ].float()
        for flip in (False, True)
        for down in range(-most, most + 1)
        for right in range(-most, most + 1)
    }


def found(image: torch.Tensor, original: torch.Tensor, most: int) -> tuple[bool, int, int]:
    matches = [move for move, moved in shifts(original, most).items() if torch.allclose(image, moved, atol=1e-3)]
    assert len(matches) == 1
    return matches[0]


def test_augmentation_depends_on_the_generator_alone(pixels: torch.Tensor) -> None:
    images = AugmentedImages(pixels, PLAIN, CPU)
    torch.manual_seed(1)
    first = batch(images, 5, [0, 1, 2])
    torch.manual_seed(2)
    assert torch.equal(batch(images, 5, [0, 1, 2]), first)
    assert not torch.equal(batch(images, 6, [0, 1, 2]), first)


def test_every_augmented_image_is_a_flip_and_a_shift_of_its_original(pixels: torch.Tensor) -> None:
    images = AugmentedImages(pixels, PLAIN, CPU, shift_px=2)
    moves = [
        found(image, pixels[index], 2)
        for seed in range(40)
        for index, image in zip([0, 3, 5], batch(images, seed, [0, 3, 5]), strict=True)
    ]
    assert {move[0] for move in moves} == {False, True}
    assert {move[1] for move in moves} == {move[2] for move in moves} == {-2, -1, 0, 1, 2}
    assert 0.3 < sum(move[0] for move in moves) / len(moves) < 0.7


def test_images_of_a_batch_move_independently(pixels: torch.Tensor) -> None:
    images = AugmentedImages(pixels, PLAIN, CPU, shift_px=2)
    moved = batch(images, 0, [0] * 30)
    assert len({found(image, pixels[0], 2) for image in moved}) > 10


def test_without_shift_only_flips_are_left(pixels: torch.Tensor) -> None:
    images = AugmentedImages(pixels, PLAIN, CPU, shift_px=0)
    flips = [found(image, pixels[0], 0)[0] for image in batch(images, 0, [0] * 40)]
    assert 8 < sum(flips) < 32


def test_a_batch_is_normalised_and_as_long_as_its_indices(pixels: torch.Tensor) -> None:
    half = Preprocessing(8, 8, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    images = AugmentedImages(torch.full((4, 3, 8, 8), 255, dtype=torch.uint8), half, CPU)
    assert len(images) == 4
    moved = batch(images, 0, [1, 1, 3])
    assert moved.dtype == torch.float32
    torch.testing.assert_close(moved, torch.ones(3, 3, 8, 8))


def test_the_stored_pixels_are_never_changed(pixels: torch.Tensor) -> None:
    before = pixels.clone()
    batch(AugmentedImages(pixels, PLAIN, CPU), 0, [0, 1, 2, 3, 4, 5])
    assert torch.equal(pixels, before)


def test_cached_features_are_picked_by_index_without_augmentation() -> None:
    features = torch.arange(12.0).reshape(4, 3)
    images = CachedFeatures(features, CPU)
    assert len(images) == 4
    assert images.batch(torch.tensor([2, 0]), torch.Generator()).tolist() == [[6, 7, 8], [0, 1, 2]]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_images_that_are_decoded_for_each_batch_are_those_that_are_held(pixels: torch.Tensor, threads: int) -> None:
    held, streamed = (AugmentedImages(each, PLAIN, CPU) for each in (pixels, StreamedPixels(list(pixels), threads)))
    assert len(streamed) == len(held) == 6
    for seed in range(3):
        assert torch.equal(batch(streamed, seed, [5, 0, 3]), batch(held, seed, [5, 0, 3]))
