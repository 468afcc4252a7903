"""Images in an object store: the same rows, refusals and pixels as on the disk, in few requests."""

from __future__ import annotations

import json
import multiprocessing
from functools import partial

import image_trees
import pandas as pd
import pytest
import scene_trees
import torch
from coco_documents import coco_document
from PIL import Image

from scaling_ood import storage
from scaling_ood.images import ChangedFileError, Loading, Photographs, Preprocessing, list_files, read_image
from scaling_ood.images.checks import check_image
from scaling_ood.images.files import RefusedFileError, read_file
from scaling_ood.images.inventory import inventory
from scaling_ood.images.manifest import quarantine, read_folder
from scaling_ood.images.multi_label.sources import MultiLabelSource, read_listing
from scaling_ood.images.recorded import LABEL, NO_STAMP, recorded_files
from scaling_ood.images.scenes import SceneSource, prepare_scenes, read_labels
from scaling_ood.images.walking import HIDDEN, walk
from scaling_ood.storage import StorageError

LAYOUTS = {
    "imagenet": partial(image_trees.imagenet, per_class=2),
    "imagenet_21k_p": partial(image_trees.imagenet_21k_p, per_class=1),
    "places69": partial(image_trees.places69, images=3),
    "dtd": partial(image_trees.dtd, images=2),
    "species": partial(image_trees.species, supercategories={"Plants": 2, "Fungi": 1}, per_class=2),
}
SCENES = {
    "streethazards": scene_trees.streethazards,
    "bdd_anomaly": scene_trees.bdd_anomaly,
    "fishyscapes_lost_and_found": scene_trees.fishyscapes_lost_and_found,
    "road_anomaly": scene_trees.road_anomaly,
}


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What is asked of the server of S3."""
    from s3fs import S3FileSystem

    calls: list[str] = []
    call = S3FileSystem._call_s3

    async def counted(self, method, *args, **options):
        calls.append(method)
        return await call(self, method, *args, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    return calls


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_listed_as_on_the_disk_in_a_few_requests(bucket, asked, tmp_path, layout):
    LAYOUTS[layout](tmp_path / "set")
    (tmp_path / "set/.DS_Store").write_text("")
    address = bucket.fill(tmp_path / "set", "photos/set")
    splits = ["test"] if layout == "places69" else None
    asked.clear()
    assert list_files(layout, storage.place(address), splits) == list_files(layout, tmp_path / "set", splits)
    assert len(asked) <= 12, asked


def test_a_manifest_is_that_of_the_disk_but_for_sizes_and_times(bucket, tmp_path):
    image_trees.imagenet(tmp_path / "set", 3)
    (tmp_path / "set/val/n01440764/broken.JPEG").write_bytes(b"no image")
    address = bucket.fill(tmp_path / "set", "photos/set")
    made = {}
    for folder in (str(tmp_path / "set"), address):
        rows, left_out = read_folder("set", folder, "imagenet")
        made[folder] = (*quarantine(rows, {"set": folder}, 2, 0.5, looks=True), left_out)
    (local, *bad), (stored, *stored_bad) = made.values()
    assert set(zip(stored["bytes"], stored["modified_ns"], strict=True)) == {NO_STAMP}
    pd.testing.assert_frame_equal(
        local.drop(columns=["bytes", "modified_ns"]), stored.drop(columns=["bytes", "modified_ns"])
    )
    for mine, theirs in zip(bad, stored_bad, strict=True):
        pd.testing.assert_frame_equal(mine, theirs)


@pytest.mark.parametrize("layout", SCENES)
def test_scenes_are_those_of_the_disk(bucket, tmp_path, layout):
    SCENES[layout](tmp_path / "set")
    address = bucket.fill(tmp_path / "set", "photos/set")
    local, stored = (prepare_scenes(SceneSource("set", folder, layout))[0] for folder in (tmp_path / "set", address))
    times = [f"{kind}{name}" for kind in ("", LABEL) for name in ("bytes", "modified_ns")]
    pd.testing.assert_frame_equal(local.drop(columns=times), stored.drop(columns=times))
    label = recorded_files(stored, address, LABEL)[0]
    assert (read_labels(label) == read_labels(recorded_files(local, str(tmp_path / "set"), LABEL)[0])).all()


def test_images_of_several_classes_are_those_of_the_disk(bucket, tmp_path):
    (tmp_path / "set/annotations").mkdir(parents=True)
    for split in ("train", "val"):
        document = coco_document({1: "1.jpg", 2: "2.jpg"}, [(1, 3), (2, 5)], {3: "cat", 5: "dog"})
        (tmp_path / f"set/annotations/instances_{split}2017.json").write_text(json.dumps(document))
        (tmp_path / f"set/{split}2017").mkdir()
        for number in (1, 2):
            Image.new("RGB", (8, 8)).save(tmp_path / f"set/{split}2017/{number}.jpg")
    address = bucket.fill(tmp_path / "set", "photos/set")
    local, stored = (read_listing(MultiLabelSource("set", str(each), "coco")) for each in (tmp_path / "set", address))
    assert local == stored


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_of_several_classes_is_read(bucket, tmp_path, ending):
    (tmp_path / "set").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "set/1.png")
    table = pd.DataFrame({"path": ["1.png"], "split": ["val"], "cat": ["1"], "dog": ["0"]})
    if ending == "csv":
        table.to_csv(tmp_path / "set/labels.csv", index=False)
    else:
        table.to_parquet(tmp_path / "set/labels.parquet")
    address = bucket.fill(tmp_path / "set", "photos/set")
    options = {"layout": "table", "manifest": f"labels.{ending}"}
    local, stored = (read_listing(MultiLabelSource("s", str(each), **options)) for each in (tmp_path / "set", address))
    assert local == stored


@pytest.mark.parametrize(
    ("layout", "make", "said"),
    [
        ("lsun", partial(image_trees.lsun, images=2), "databases are read only from a local disk"),
        ("cifar10", partial(image_trees.cifar10, per_batch=2), "batches of CIFAR-10 are read only from a local disk"),
    ],
)
def test_layouts_that_need_local_files_say_so(bucket, tmp_path, layout, make, said):
    make(tmp_path / "set")
    address = bucket.fill(tmp_path / "set", "photos/set")
    with pytest.raises(StorageError, match=said):
        list_files(layout, storage.place(address))


def test_what_is_in_a_folder_is_told(bucket, tmp_path):
    image_trees.imagenet(tmp_path / "set", 2)
    (tmp_path / "set/.hidden").write_text("")
    address = bucket.fill(tmp_path / "set", "photos/set")
    local, stored = inventory(tmp_path / "set"), inventory(storage.place(address))
    assert (str(local), local.fitting) == (str(stored), stored.fitting)
    assert [found.left_out for found in walk(storage.place(address), deep=False)] == [HIDDEN]
    assert list(walk(storage.place(f"{address}/none"))) == []


@pytest.fixture
def pictures(bucket, tmp_path):
    """Six pictures in a bucket, as data preparation found them, and the same on the disk."""
    (tmp_path / "set").mkdir()
    for number in range(6):
        Image.new("RGB", (20, 16), (40 * number, 0, 90)).save(tmp_path / f"set/{number}.png")
    address = bucket.fill(tmp_path / "set", "set")
    rows, _ = read_folder("set", address, "flat")
    good, _ = quarantine(rows, {"set": address}, 2, 0)
    return recorded_files(good, address), [str(tmp_path / f"set/{number}.png") for number in range(6)]


def test_one_request_reads_and_compares_a_picture(pictures, asked):
    stored, local = pictures
    asked.clear()
    assert read_image(stored[3]).tobytes() == read_image(local[3]).tobytes()
    assert asked == ["get_object"]


def test_a_picture_that_was_replaced_is_refused(pictures, bucket):
    storage.write(bucket.place("set/3.png"), bucket.place("set/2.png").read_bytes())
    with pytest.raises(ChangedFileError, match=r"s3://bucket-\d+/set/3.png has other content"):
        read_image(pictures[0][3])


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("workers", [0, 2])
def test_workers_open_what_the_main_process_has_opened_too(pictures, workers, context):
    stored, local = pictures
    read_image(stored[0])
    preprocessing = Preprocessing(16, 16, "bilinear", (0, 0, 0), (1, 1, 1))
    made = []
    for files in (stored, local):
        loader = Loading(batch_images=2, workers=workers).batches(Photographs(files, preprocessing), pin_memory=False)
        if workers:
            loader.multiprocessing_context = multiprocessing.get_context(context)
        made.append(torch.cat(list(loader)))
    assert torch.equal(*made)


def test_what_cannot_be_an_image_is_refused_in_words(bucket, monkeypatch):
    storage.write(bucket.place("empty.png"), b"")
    storage.write(bucket.place("large.png"), b"12345")
    with pytest.raises(RefusedFileError, match="is empty"):
        read_file(f"{bucket.address}/empty.png")
    monkeypatch.setattr("scaling_ood.images.files.MOST_BYTES", 4)
    with pytest.raises(RefusedFileError, match="has more than the 4 bytes"):
        read_file(f"{bucket.address}/large.png")
    assert check_image(f"{bucket.address}/none.png").problem.startswith("cannot be read: ")
