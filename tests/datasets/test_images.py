"""Folders of images: rendered ones resume folder by folder; a person's are read only."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from image_trees import images_of
from kedro.io import DatasetError
from PIL import Image

from scaling_ood.datasets import FabricatedImagesDataset, ImageRootDataset
from scaling_ood.datasets.images import ImageFolder
from scaling_ood.images import list_files
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan

FOLDERS = ("in_dist/train/oak", "in_dist/val/oak", "ood/birds/owl")


def picture(seed: int) -> np.ndarray:
    return np.full((16, 16, 3), 40 * seed, dtype=np.uint8)


def plan(
    key: str = "key", images: int = 3, folders: Sequence[str] = FOLDERS, stop_after: int = 99
) -> Plan[ImageFolder]:
    def produce(missing: Sequence[Part]) -> Iterator[tuple[str, ImageFolder]]:
        for number, part in enumerate(missing):
            if number == stop_after:
                raise RuntimeError("power cut")
            made.append(part.name)
            yield part.name, {f"{index}.jpg": picture(index) for index in range(part.items)}

    made: list[str] = []
    return Plan([Part(folder, images) for folder in folders], produce, {"made": made}, Origin(key))


def listing(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_each_part_becomes_a_folder_of_jpegs_with_the_given_pixels(tmp_path: Path) -> None:
    FabricatedImagesDataset(filepath=str(tmp_path)).save(plan())
    expected = [f"{folder}/{index}.jpg" for folder in FOLDERS for index in range(3)]
    records = [f".parts/{folder}.json" for folder in FOLDERS]
    assert listing(tmp_path) == sorted([*expected, "record.json", *records])
    with Image.open(tmp_path / FOLDERS[2] / "2.jpg") as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - 80).max() <= 2


def test_an_interrupted_rendering_goes_on_with_the_folders_that_are_missing(tmp_path: Path) -> None:
    dataset = FabricatedImagesDataset(filepath=str(tmp_path))
    with pytest.raises(DatasetError, match="power cut"):
        dataset.save(plan(stop_after=1))
    assert not dataset.exists()
    rest = plan()
    dataset.save(rest)
    assert rest.about["made"] == list(FOLDERS[1:])
    assert dataset.load().items == 9


def test_readers_never_see_a_half_written_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = FabricatedImagesDataset(filepath=str(tmp_path))
    whole = FabricatedImagesDataset._write

    def torn(self: FabricatedImagesDataset, place: Path, product: ImageFolder) -> None:
        whole(self, place, dict(list(product.items())[:2]))
        raise OSError("no space left on device")

    monkeypatch.setattr(FabricatedImagesDataset, "_write", torn)
    with pytest.raises(DatasetError, match="no space left"):
        dataset.save(plan())
    assert images_of(list_files("image_folder", tmp_path / "in_dist")) == []


def test_files_of_a_half_written_folder_never_reach_the_finished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = FabricatedImagesDataset(filepath=str(tmp_path))
    whole = FabricatedImagesDataset._write

    def torn(self: FabricatedImagesDataset, place: Path, product: ImageFolder) -> None:
        whole(self, place, product)
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(FabricatedImagesDataset, "_write", torn)
        with pytest.raises(DatasetError):
            dataset.save(plan(images=5))
    dataset.save(plan(key="fewer", images=2))
    assert sorted(path.name for path in (tmp_path / FOLDERS[0]).iterdir()) == ["0.jpg", "1.jpg"]
    assert not list(tmp_path.rglob(".*.part"))


def test_another_key_leaves_no_class_of_the_old_images(tmp_path: Path) -> None:
    dataset = FabricatedImagesDataset(filepath=str(tmp_path))
    dataset.save(plan())
    dataset.save(plan(key="other", folders=["in_dist/train/elm"]))
    assert [entry.class_name for entry in images_of(list_files("image_folder", tmp_path / "in_dist"))] == ["elm"] * 3


def test_the_image_root_loads_as_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    root = ImageRootDataset(filepath="photographs")
    monkeypatch.chdir("/")
    assert root.load() == str(tmp_path / "photographs")
    assert root.exists()
    assert not ImageRootDataset(filepath=str(tmp_path / "nowhere")).exists()


def test_nothing_can_be_saved_into_the_image_root(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        ImageRootDataset(filepath=str(tmp_path)).save(None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_lies_in_the_temporary_folder_never_reaches_the_finished_one(tmp_path: Path) -> None:
    beside = tmp_path / "ood" / "birds" / ".owl.part"
    beside.mkdir(parents=True)
    (beside / "alien.jpg").write_bytes(b"left by a crash")
    FabricatedImagesDataset(filepath=str(tmp_path)).save(plan())
    assert sorted(path.name for path in (tmp_path / "ood/birds/owl").iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_rendered_image_that_was_lost_is_told_and_made_again(tmp_path: Path) -> None:
    dataset = FabricatedImagesDataset(filepath=str(tmp_path))
    dataset.save(plan())
    lost = tmp_path / FOLDERS[1] / "1.jpg"
    lost.unlink()
    with pytest.raises(DatasetError, match=f"{FOLDERS[1]} is damaged"):
        dataset.load()
    dataset.save(plan())
    assert lost.is_file()
    assert len(dataset.load().parts) == len(FOLDERS)
