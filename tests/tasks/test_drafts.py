"""A person's folder of photographs becomes parameters, or a message that says what is missing."""

import shutil

import own_photographs as own
import pytest
import yaml
from PIL import Image

from scaling_ood.tasks import tasks
from scaling_ood.tasks.drafts import DraftError, Said

TASKS = {task.name: task for task in tasks()}
LIBRARY = ("raccoon", "insects", "gaussian")


def drafted(setting, root, in_dist="", anomalies=(), ood=()):
    return yaml.safe_load("\n".join(TASKS[setting].draft(root, Said(in_dist, ood, anomalies), LIBRARY)))


def refused(setting, root, *given):
    with pytest.raises(DraftError) as error:
        drafted(setting, root, *given)
    return str(error.value)


# One class each


def test_splits_with_classes_are_in_distribution_and_all_other_folders_ood(tmp_path):
    own.split_folders(tmp_path)
    own.flat(tmp_path / "insects")
    own.class_folders(tmp_path / "odd ones", 2)
    (tmp_path / "notes").mkdir()
    found = drafted("multi_class", tmp_path)
    name = found["multi_class"]["data"]["in_dist"]
    assert found["data_sets"] == {
        name: {"source": "photographs", "layout": "image_folder", "folder": ".", "splits": ["train", "val"]},
        "own_insects": {"source": "photographs", "layout": "flat", "folder": "insects"},
        "odd_ones": {"source": "photographs", "layout": "class_folders", "folder": "odd ones"},
    }
    assert found["multi_class"]["data"] == {
        "in_dist": name,
        "ood": ["own_insects", "odd_ones"],
        "train": {"split": "train"},
        "fit": {"split": "val", "share": 0.5},
        "test": {"split": "val"},
    }


def test_a_folder_called_ood_holds_a_folder_for_each_set(tmp_path):
    own.class_folders(tmp_path / "in_dist", 25)
    own.flat(tmp_path / "ood" / "a")
    own.class_folders(tmp_path / "ood" / "b", 2)
    found = drafted("multi_class", tmp_path)
    assert {entry["folder"] for entry in found["data_sets"].values()} == {"in_dist", "ood/a", "ood/b"}
    assert found["multi_class"]["data"]["train"] == {"split": "all", "share": 0.6}
    assert found["multi_class"]["data"]["fit"] == {"split": "all", "share": 0.2}


def test_of_a_small_set_without_splits_every_class_is_in_every_role(tmp_path):
    own.class_folders(tmp_path / "birds", 5)
    data = drafted("multi_class", tmp_path)["multi_class"]["data"]
    assert [data[role] for role in ("train", "fit", "test")] == [
        {"split": "all", "per_class": 3},
        {"split": "all", "per_class": 1},
        {"split": "all"},
    ]
    assert data["ood"] == ["gaussian", "rademacher", "blobs"]


def test_three_splits_have_a_role_each(tmp_path):
    own.split_folders(tmp_path / "birds", {"training": 2, "Validation": 2, "testing": 2})
    data = drafted("multi_class", tmp_path)["multi_class"]["data"]
    roles = {role: data[role] for role in ("train", "fit", "test")}
    assert roles == {role: {"split": s} for role, s in zip(roles, ("training", "Validation", "testing"), strict=True)}


def test_which_set_is_in_distribution_is_asked_where_several_may_be(tmp_path):
    for name in ("birds", "insects"):
        own.class_folders(tmp_path / name, 3)
    told = refused("multi_class", tmp_path)
    assert "any of birds, insects may be it" in told
    assert "IN_DIST=FOLDER" in told
    assert "- insects: 9 images one folder down" in told
    assert drafted("multi_class", tmp_path, "insects")["multi_class"]["data"] == {
        **drafted("multi_class", tmp_path, "insects")["multi_class"]["data"],
        "in_dist": "own_insects",
        "ood": ["birds"],
    }
    assert "unknown folder 'insect'; did you mean 'insects'?" in refused("multi_class", tmp_path, "insect")


@pytest.mark.parametrize("splits", [False, True])
def test_classes_that_are_ood_may_lie_beside_the_others(splits, tmp_path):
    own.split_folders(tmp_path) if splits else own.class_folders(tmp_path, 25)
    found = drafted("multi_class", tmp_path, ood=("blue",))
    name = found["multi_class"]["data"]["in_dist"]
    where = {"layout": "image_folder", "splits": ["train", "val"]} if splits else {"layout": "class_folders"}
    entry = {"source": "photographs", "folder": ".", **where}
    assert found["data_sets"] == {
        name: {**entry, "classes": ["green", "red"]},
        "blue": {**entry, "classes": ["blue"]},
    }
    assert found["multi_class"]["data"]["ood"] == ["blue"]
    told = refused("multi_class", tmp_path, "", (), ("blu",))
    assert "unknown class 'blu'; did you mean 'blue'?" in told


def test_what_means_nothing_in_a_setting_is_refused(tmp_path):
    assert "ANOMALY means nothing" in refused("multi_class", tmp_path, "", (7,))
    assert "IN_DIST, OOD means nothing" in refused("segmentation", tmp_path, "a", (), ("b",))


def test_what_lies_beside_the_classes_of_an_ood_set_is_no_reason_to_stop(tmp_path):
    own.split_folders(tmp_path / "birds")
    own.class_folders(tmp_path / "more", 2)
    (tmp_path / "more" / "empty").mkdir()
    assert drafted("multi_class", tmp_path)["data_sets"]["more"]["layout"] == "flat"


def test_images_without_classes_are_no_in_distribution_set(tmp_path):
    own.flat(tmp_path)
    told = refused("multi_class", tmp_path)
    assert "no folder holds folders of classes with images" in told
    assert 'OOD="CLASS CLASS"' in told


def test_a_class_with_too_few_images_for_its_roles_is_named(tmp_path):
    own.class_folders(tmp_path / "birds", 2)
    assert "class blue has 2 images: to learn, fit and test it takes three" in refused("multi_class", tmp_path)


def test_a_class_of_the_test_that_nothing_can_learn_is_named(tmp_path):
    own.split_folders(tmp_path, {"train": 2})
    own.class_folders(tmp_path / "val", 1, {"owl": (1, 1, 1)})
    assert "1 classes have no image in train, to learn from: owl" in refused("multi_class", tmp_path)


# Several classes each


def test_annotated_images_are_recognised_by_their_layout(tmp_path):
    own.coco(tmp_path / "photos")
    own.flat(tmp_path / "yellow")
    found = drafted("multi_label", tmp_path)["multi_label"]["data"]
    assert found == {
        "in_dist": "photos",
        "labelled": {"source": "photographs", "layout": "coco", "folder": "photos"},
        "ood": ["yellow"],
        "train": {"split": "train"},
        "fit": {"split": "val", "share": 0.5},
        "test": {"split": "val"},
    }


def test_the_annotated_images_may_be_the_folder_itself(tmp_path):
    own.coco(tmp_path)
    own.flat(tmp_path / "yellow")
    data = drafted("multi_label", tmp_path)["multi_label"]["data"]
    assert data["labelled"] == {"source": "photographs", "layout": "coco", "folder": "."}
    assert data["ood"] == ["yellow"]


def test_a_table_without_splits_is_shared(tmp_path):
    own.flat(tmp_path / "mine" / "photos", images=6)
    rows = [f"photos/{number}.png,{number % 2},1" for number in range(6)]
    (tmp_path / "mine" / "manifest.csv").write_text("\n".join(["path,dog,cat", *rows]))
    data = drafted("multi_label", tmp_path)["multi_label"]["data"]
    assert data["labelled"]["layout"] == "table"
    assert data["train"] == {"split": "all", "share": 0.6}


def test_without_annotations_the_shapes_are_told(tmp_path):
    own.class_folders(tmp_path / "birds", 2)
    told = refused("multi_label", tmp_path)
    assert "layout 'voc' expects" in told
    assert "layout 'table' expects" in told


# Pixels


def street(root, places, splits=(("train", 3), ("val", 2), ("test", 2)), odd_in=("test",)):
    for split, scenes in splits:
        for number in range(scenes):
            photo, label = (place.format(split=split, number=number) for place in places)
            own.scene(root / photo, root / label, split in odd_in)


PLACES = {
    "by_kind": ("images/{split}/a/{number}_cam.jpg", "labels/{split}/a/{number}_gt_ids.png"),
    "by_split": ("{split}/photos/{number}.png", "{split}/labels/{number}.png"),
    "beside": ("{split}/{number}.jpg", "{split}annot/{number}.png"),
}


@pytest.mark.parametrize("name", PLACES)
def test_photographs_and_label_images_are_paired_and_what_only_the_test_shows_is_anomalous(name, tmp_path):
    street(tmp_path, PLACES[name])
    data = drafted("segmentation", tmp_path)["segmentation"]["data"]
    assert data["layout"] == "paired_folders"
    assert data["paired"]["ids"] == {0: 0, 1: 1, 2: 2, 7: "anomaly", 255: "void"}
    splits = data["paired"]["splits"]
    assert {split["role"] for split in splits.values()} == {"train", "validation", "test"}
    photo, label = (place.rsplit("/", 1)[0].format(split="val").removesuffix("/a") for place in PLACES[name])
    assert (splits["validation"]["images"], splits["validation"]["labels"]) == (photo, label)
    suffixes = {"image_suffix": "_cam", "label_suffix": "_gt_ids"} if name == "by_kind" else {}
    assert {key: value for key, value in splits["train"].items() if "suffix" in key} == suffixes


def test_an_official_layout_needs_no_pairs(tmp_path):
    (tmp_path / "street" / "train" / "annotations").mkdir(parents=True)
    data = drafted("segmentation", tmp_path)["segmentation"]["data"]
    assert data == {"in_dist": "street", "layout": "streethazards", "folder": "street"}


def test_which_ids_are_anomalous_is_asked_where_labels_do_not_tell(tmp_path):
    street(tmp_path, PLACES["by_kind"], odd_in=("train", "val", "test"))
    told = refused("segmentation", tmp_path)
    assert "ANOMALY=ID" in told
    assert "test: 0, 1, 2, 7, 255" in told
    paired = drafted("segmentation", tmp_path, "", (7,))["segmentation"]["data"]["paired"]
    assert paired["ids"][7] == "anomaly"
    assert paired["anomalous"] == "test"


def test_what_no_training_scene_shows_is_void(tmp_path):
    street(tmp_path, PLACES["by_kind"])
    path = tmp_path / "labels/val/a/0_gt_ids.png"
    with Image.open(path) as image:
        image.putpixel((5, 5), 4)
        image.save(path)
    ids = drafted("segmentation", tmp_path)["segmentation"]["data"]["paired"]["ids"]
    assert ids == {0: 0, 1: 1, 2: 2, 4: "void", 7: "anomaly", 255: "void"}


def test_a_split_without_labels_is_named(tmp_path):
    street(tmp_path, PLACES["by_kind"])
    shutil.rmtree(tmp_path / "labels/val")
    assert "no photographs with label images for validation in" in refused("segmentation", tmp_path)
