"""Scenes on their way into a network: read, scaled, flipped, padded, and the same whatever loads them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scene_toys import HALF, Rectangles

from scaling_ood.images.loading import UnreadableImageError
from scaling_ood.images.scenes import LabelMap, UnknownLabelError
from scaling_ood.training.sampling import Sampling
from scaling_ood.training.scenes import (
    Augmentation,
    SceneError,
    SceneFiles,
    SceneSets,
    network_pixels,
    scaled_size,
)

PLAIN = Augmentation(flips=0.0)


class Gradients:
    """Labels that say where they come from: scenes of the given (H, W), label = 10 * (scene + 1) + column // 8."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        labels = np.empty(self.sizes[index], np.uint8)
        labels[:] = 10 * (index + 1) + np.arange(labels.shape[1]) // 8
        return Image.fromarray(np.repeat(labels[..., None], 3, axis=2)), labels


def sets(train: object, augmentation: Augmentation, workers: int = 0, evaluation_edge: int | None = None) -> SceneSets:
    return SceneSets(train, train, HALF, augmentation, evaluation_edge, workers)


def epoch(
    train: object, augmentation: Augmentation, sampling: Sampling, number: int = 0, workers: int = 0
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [tuple(batch) for batch in sets(train, augmentation, workers).training_batches(sampling, number)]


def same(one: list[tuple[torch.Tensor, ...]], other: list[tuple[torch.Tensor, ...]]) -> bool:
    if [tuple(t.shape for t in batch) for batch in one] != [tuple(t.shape for t in batch) for batch in other]:
        return False
    return all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


VARIED = Augmentation((24, 48, 60))
SAMPLING = Sampling(2, seed=5)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_epoch_is_the_same_whatever_the_number_of_workers(workers: int) -> None:
    torch.manual_seed(workers)
    assert same(epoch(Rectangles(6), VARIED, SAMPLING, 3, workers), epoch(Rectangles(6), VARIED, SAMPLING, 3))


def test_epochs_and_seeds_differ_and_the_global_generators_do_not_matter() -> None:
    first = epoch(Rectangles(8), VARIED, SAMPLING, 0)
    torch.manual_seed(9)
    np.random.seed(9)
    before = torch.get_rng_state()
    assert same(epoch(Rectangles(8), VARIED, SAMPLING, 0), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(epoch(Rectangles(8), VARIED, SAMPLING, 1), first)
    assert not same(epoch(Rectangles(8), VARIED, Sampling(2, seed=6), 0), first)


def test_one_pass_takes_each_scene_once_and_leaves_the_smaller_batch_out() -> None:
    order = Sampling(3, 0).order(11, 2)
    assert order.shape == (3, 3)
    assert len(set(order.ravel())) == 9


def test_more_steps_than_scenes_are_passes_each_in_an_order_of_its_own() -> None:
    order = Sampling(2, 0, steps=10).order(5, 0).ravel()
    passes = order.reshape(4, 5)
    assert [sorted(each) for each in passes] == [list(range(5))] * 4
    assert len({tuple(each) for each in passes}) > 1


def test_a_set_that_is_smaller_than_a_batch_is_repeated() -> None:
    assert sorted(Sampling(4, 0).order(3, 0)[0][:3]) == [0, 1, 2]
    assert Sampling(4, 0).per_epoch(3) == 1


def test_a_batch_of_one_and_empty_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="1 image a batch: batch norm needs at least 2"):
        Sampling(1, 0)
    with pytest.raises(SceneError, match="there are no validation scenes"):
        SceneSets(Rectangles(1), Rectangles(0), HALF)
    with pytest.raises(SceneError, match="there are no training and no validation scenes"):
        SceneSets(Rectangles(0), Rectangles(0), HALF)


def test_labels_are_taken_at_the_centres_of_the_stride_and_belong_to_their_pixels() -> None:
    ((pixels, labels),) = epoch(Gradients((16, 24), (16, 24)), PLAIN, SAMPLING)
    assert (pixels.shape, pixels.dtype) == ((2, 3, 16, 24), torch.uint8)
    assert (labels.shape, labels.dtype) == ((2, 2, 3), torch.uint8)
    assert torch.equal(labels, pixels[:, 0, 4::8, 4::8])
    assert sorted(labels[:, 0].tolist()) == [[10, 11, 12], [20, 21, 22]]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_labels_are_as_dense_as_they_are_asked_for(stride: int) -> None:
    scenes = Gradients((16, 24), (9, 23))
    dense = SceneSets(scenes, scenes, HALF, PLAIN, label_stride=stride)
    ((pixels, labels),) = dense.training_batches(SAMPLING, 0)
    assert labels.shape == (2, 16 // stride, 24 // stride)
    there = labels != 255
    assert torch.equal(labels[there], pixels[:, 0, stride // 2 :: stride, stride // 2 :: stride][there])
    assert there.sum().item() == sum(
        len(range(stride // 2, h, stride)) * len(range(stride // 2, w, stride)) for h, w in scenes.sizes
    )


def test_a_label_stride_that_divides_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="label_stride 3: it must be one of 1, 2, 4, 8"):
        SceneSets(Rectangles(1), Rectangles(1), HALF, label_stride=3)


def test_flips_mirror_pixels_and_labels_together() -> None:
    ((pixels, labels),) = epoch(Gradients((16, 24), (16, 24)), Augmentation(flips=1.0), SAMPLING)
    assert sorted(labels[:, 0].tolist()) == [[12, 11, 10], [22, 21, 20]]
    assert torch.equal(labels, pixels[:, 0, 4::8, 4::8])


def test_about_half_of_the_scenes_are_flipped() -> None:
    batches = epoch(Gradients(*[(8, 16)] * 20), Augmentation(), Sampling(2, 0, steps=100))
    share = np.mean([(labels[:, 0, 0] > labels[:, 0, 1]).numpy() for _, labels in batches])
    assert 0.4 < share < 0.6


def test_scenes_of_different_sizes_are_padded_with_the_mean_colour_and_void() -> None:
    ((pixels, labels),) = epoch(Gradients((16, 16), (9, 23)), PLAIN, SAMPLING)
    assert pixels.shape == (2, 3, 16, 24)
    narrow = int(labels[:, 0, 0].argmin())
    assert labels[narrow].tolist() == [[10, 11, 255], [10, 11, 255]]
    assert labels[1 - narrow].tolist() == [[20, 21, 22], [255, 255, 255]]
    assert (pixels[narrow, :, :, 16:] == 128).all()
    assert (pixels[1 - narrow, :, 9:] == 128).all()


def test_each_batch_draws_one_of_the_short_edges() -> None:
    batches = epoch(Rectangles(4), Augmentation((24, 48, 72)), Sampling(2, 0, steps=40))
    heights = [pixels.shape[2] for pixels, _ in batches]
    assert set(heights) == {24, 48, 72}
    assert {pixels.shape[3] for pixels, _ in batches} == {32, 64, 96}
    assert all(tuple(side // 8 for side in pixels.shape[2:]) == labels.shape[1:] for pixels, labels in batches)


def test_the_longer_side_is_capped() -> None:
    assert scaled_size((1280, 720), 600, 1000) == (1000, 562)
    assert scaled_size((720, 1280), 300, 1000) == (300, 533)
    ((pixels, _),) = epoch(Gradients((16, 64), (16, 64)), Augmentation((32,), longest=48), SAMPLING)
    assert pixels.shape == (2, 3, 16, 48)


def test_scaled_labels_hold_only_ids_that_were_there() -> None:
    batches = epoch(Rectangles(4), Augmentation((40, 56)), Sampling(2, 0, steps=6))
    assert {int(value) for _, labels in batches for value in labels.unique()} <= {0, 1, 255}


def test_validation_scenes_keep_their_labels_size_and_come_one_by_one_in_order() -> None:
    scenes = list(sets(Gradients((16, 24), (9, 23)), PLAIN).validation_scenes())
    assert [scene.pixels.shape for scene in scenes] == [(1, 3, 16, 24), (1, 3, 16, 24)]
    assert [scene.labels.shape for scene in scenes] == [(16, 24), (9, 23)]
    assert [int(scene.labels[0, 0]) for scene in scenes] == [10, 20]
    small = next(iter(sets(Gradients((32, 48)), PLAIN, evaluation_edge=16).validation_scenes()))
    assert (small.pixels.shape, small.labels.shape) == ((1, 3, 16, 24), (32, 48))


def test_an_image_whose_sides_are_multiples_of_8_is_not_touched() -> None:
    image = Rectangles(1).scene(0)[0]
    assert torch.equal(network_pixels(image, None, 1000), torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1))
    assert network_pixels(image, 20, 1000).shape == (3, 24, 32)


LABELS = LabelMap.from_ids("toy", {0: "void", 1: 0, 2: 1})


def write(folder: Path, labels: NDArray[np.uint8], size: tuple[int, int] = (4, 3)) -> SceneFiles:
    Image.new("RGB", size, (1, 2, 3)).save(folder / "image.png")
    Image.fromarray(labels).save(folder / "labels.png")
    return SceneFiles([str(folder / "image.png")], [str(folder / "labels.png")], LABELS)


def test_label_files_become_train_ids(tmp_path: Path) -> None:
    image, labels = write(tmp_path, np.array([[0, 1, 2, 1]] * 3, np.uint8)).scene(0)
    assert (image.mode, image.size) == ("RGB", (4, 3))
    assert labels.tolist() == [[255, 0, 1, 0]] * 3


def test_labels_of_another_size_and_unknown_ids_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"labels\.png is \(4, 2\), its image \(4, 3\)"):
        write(tmp_path, np.ones((2, 4), np.uint8)).scene(0)
    with pytest.raises(UnknownLabelError, match=r"labels\.png: label ids 7 are not in toy"):
        write(tmp_path, np.full((3, 4), 7, np.uint8)).scene(0)


def test_an_image_that_went_away_names_itself(tmp_path: Path) -> None:
    files = write(tmp_path, np.ones((3, 4), np.uint8))
    (tmp_path / "image.png").unlink()
    with pytest.raises(UnreadableImageError, match=r"image\.png cannot be read any more"):
        files.scene(0)
