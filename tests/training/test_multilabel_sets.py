"""Labelled images on their way into a training: crops, order, and what is refused before it starts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from scaling_ood.images import Loading, Preprocessing, read_image
from scaling_ood.images.loading import UnreadableImageError
from scaling_ood.training.multilabel_sets import (
    UNLABELLED,
    LabelledFeatures,
    LabelledPhotographs,
    MultiLabelError,
    MultiLabelSets,
    RandomCrop,
)
from scaling_ood.training.sampling import Sampling

PLAIN = Preprocessing(16, 16, "bilinear", (0.0,) * 3, (1.0,) * 3)
SAMPLING = Sampling(2, seed=5)


@pytest.fixture
def photographs(tmp_path: Path) -> LabelledPhotographs:
    """Seven pictures of 40 x 30 pixels: red is the picture's number, green the column, blue the row."""
    paths = []
    for number in range(7):
        pixels = np.empty((30, 40, 3), np.uint8)
        pixels[..., 0], pixels[..., 1], pixels[..., 2] = 30 * number, 6 * np.arange(40), 8 * np.arange(30)[:, None]
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels).save(paths[-1])
    targets = torch.tensor([[number >> bit & 1 for bit in range(3)] for number in range(7)])
    return LabelledPhotographs(paths, targets, PLAIN, loading=Loading(3, 0))


def epoch(source: LabelledPhotographs, sampling: Sampling = SAMPLING, number: int = 0) -> list[torch.Tensor]:
    return [tensor for batch in source.training_batches(sampling, number) for tensor in batch]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_epoch_is_the_same_whatever_the_number_of_workers(photographs: LabelledPhotographs, workers: int) -> None:
    torch.manual_seed(workers)
    assert same(epoch(replace(photographs, loading=Loading(1, workers))), epoch(photographs))


def test_epochs_and_seeds_differ_and_the_global_generators_do_not_matter(photographs: LabelledPhotographs) -> None:
    first = epoch(photographs)
    torch.manual_seed(9)
    np.random.seed(9)
    before = torch.get_rng_state()
    assert same(epoch(photographs), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(epoch(photographs, number=1), first)
    assert not same(epoch(photographs, Sampling(2, seed=6)), first)


def test_images_keep_their_targets_and_no_image_comes_twice(photographs: LabelledPhotographs) -> None:
    seen = Counter()
    for pixels, targets in photographs.training_batches(SAMPLING, 0):
        assert (pixels.shape, pixels.dtype) == ((2, 3, 16, 16), torch.uint8)
        assert (targets.shape, targets.dtype) == ((2, 3), torch.float32)
        for image, target in zip(pixels, targets, strict=True):
            (number,) = (image[0].unique() // 30).tolist()
            assert target.tolist() == [number >> bit & 1 for bit in range(3)]
            seen[number] += 1
    assert sorted(seen.values()) == [1] * 6


def test_crops_are_upright_rectangles_of_the_allowed_areas_and_aspects_half_of_them_mirrored(
    photographs: LabelledPhotographs,
) -> None:
    mirrored = 0
    sizes = []
    for step in range(60):
        ((pixels, _),) = photographs.training_batches(Sampling(2, step, steps=1), 0)
        for image in pixels.float():
            across, down = image[1, 8, 1:-1].diff().mean() / 6, image[2, 1:-1, 8].diff().mean() / 8
            assert down > 0
            mirrored += int(across < 0)
            sizes.append((abs(across) * 16, down * 16))
    assert 40 < mirrored < 80
    areas = [float(width * height / 1200) for width, height in sizes]
    aspects = [float(width / height) for width, height in sizes]
    assert 0.45 < min(areas) < 0.6
    assert max(areas) > 0.95
    assert min(aspects) > 0.7
    assert max(aspects) < 1.45


def test_a_crop_equals_torchvisions_random_resized_crop_of_the_same_chance(photographs: LabelledPhotographs) -> None:
    image = Image.open(photographs.paths[3])
    crop = transforms.RandomResizedCrop(16, scale=(0.5, 2.0))
    for seed in range(5):
        torch.manual_seed(seed)
        expected = transforms.functional.pil_to_tensor(crop(image))
        torch.manual_seed(seed)
        assert torch.equal(RandomCrop(flips=0.0).draw(image.size).of(image, PLAIN), expected)
        torch.manual_seed(seed)
        assert torch.equal(RandomCrop(flips=1.0).draw(image.size).of(image, PLAIN), expected.flip(2))


def test_evaluation_sees_every_image_in_order_as_the_network_is_tested_on_it(photographs: LabelledPhotographs) -> None:
    squashed = replace(photographs, preprocessing=PLAIN.squashed())
    batches = list(squashed.evaluation_batches())
    assert [len(batch) for batch in batches] == [3, 3, 1]
    expected = torch.stack([PLAIN.squashed().crop(read_image(path)) for path in photographs.paths])
    assert torch.equal(torch.cat(batches), expected)
    assert torch.equal(squashed.network_input(batches[0]), batches[0] / 255)


def test_a_photograph_that_has_gone_is_named(photographs: LabelledPhotographs) -> None:
    Path(photographs.paths[2]).unlink()
    with pytest.raises(UnreadableImageError, match=r"2\.png cannot be read any more"):
        epoch(photographs, Sampling(7, 0))


def test_features_keep_their_targets_and_are_never_changed() -> None:
    features = torch.arange(10.0).reshape(5, 2)
    targets = torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0], [1, 0]])
    source = LabelledFeatures(features, targets)
    batches = list(source.training_batches(SAMPLING, 3))
    assert len(batches) == 2
    for inputs, wanted in batches:
        rows = (inputs[:, 0] / 2).long()
        assert torch.equal(inputs, features[rows])
        assert torch.equal(wanted, targets[rows].float())
    assert torch.equal(torch.cat(list(source.evaluation_batches())), features)


def source(targets: list[list[int]]) -> LabelledFeatures:
    return LabelledFeatures(torch.zeros(len(targets), 2), torch.tensor(targets))


GOOD = [[0, 1], [1, 0], [0, 0]]


def test_an_image_that_shows_nothing_known_is_labelled() -> None:
    assert len(MultiLabelSets(source(GOOD), source(GOOD)).train) == 3


def test_unlabelled_images_are_refused_by_name_all_problems_at_once(photographs: LabelledPhotographs) -> None:
    targets = photographs.targets.clone()
    targets[[1, 4]] = UNLABELLED
    targets[6, 2] = 2
    with pytest.raises(MultiLabelError) as caught:
        MultiLabelSets(replace(photographs, targets=targets), source([[0, 1, UNLABELLED]] + [[UNLABELLED] * 3] * 7))
    message = str(caught.value)
    assert f"2 of 7 training images without labels: {photographs.paths[1]}, {photographs.paths[4]};" in message
    assert f"1 of 7 training images with targets that are neither 0 nor 1: {photographs.paths[6]};" in message
    assert "7 of 8 validation images without labels: image 1, image 2, image 3, image 4, image 5 and 2 more;" in message
    assert "1 of 8 validation images with targets that are neither 0 nor 1: image 0" in message


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (LabelledFeatures(torch.zeros(0, 2), torch.zeros(0, 2)), source(GOOD), "there are no training images"),
        (source(GOOD), LabelledFeatures(torch.zeros(0, 2), torch.zeros(0, 2)), "there are no validation images"),
        (source(GOOD), source([[0, 1, 0]]), "training images have 2 classes, validation images 3"),
        (source(GOOD), source([[0, 0]]), "no validation image shows any class"),
        (LabelledFeatures(torch.zeros(2, 2), torch.zeros(3, 2)), source(GOOD), r"need targets \(2, C\), not \(3, 2\)"),
        (LabelledFeatures(torch.zeros(2, 2), torch.zeros(2)), source(GOOD), r"need targets \(2, C\), not \(2,\)"),
    ],
)
def test_sets_that_cannot_be_trained_on_are_refused(
    train: LabelledFeatures, validation: LabelledFeatures, message: str
) -> None:
    with pytest.raises(MultiLabelError, match=message):
        MultiLabelSets(train, validation)
