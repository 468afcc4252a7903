"""Whole data sets from folder to manifest; CamVid's published counts on the real photographs."""

import re
from pathlib import Path

import pytest

from scaling_ood.images.scenes import (
    LabelMap,
    Pairing,
    SceneSource,
    SplitRule,
    anomalous_area,
    in_subset,
    label_map,
    label_map_of,
    prepare_scenes,
    read_labels,
    rule_of,
)
from scaling_ood.images.scenes.preparation import LabelKindError

CAMVID = Path(__file__).parents[3].parent / "shared" / "data" / "camvid"


def bdd_tree(lay_out, folder, suffix, shift):
    """Plain ids 0..18 and 255, stored with that shift."""
    contents = {
        "train/a": [0, 1, 13, 255],
        "train/b": [0, 16, 13, 255],
        "train/c": [0, 0, 17, 18],
        "val/d": [12, 11, 10, 255],
        "val/e": [18, 11, 10, 255],
    }
    return lay_out(
        *(
            (
                None,
                f"{folder}/{name}{suffix}.png",
                [(-1 if each == 255 else each) + shift if shift else each for each in ids],
            )
            for name, ids in contents.items()
        )
    )


@pytest.mark.parametrize(
    ("layout", "folder", "suffix", "shift"),
    [
        ("bdd_anomaly", "seg/train_labels", "_train_id", 2),
        ("bdd100k", "seg/labels", "_train_id", 0),
        ("bdd100k", "labels/sem_seg/masks", "", 0),
    ],
)
def test_bdd_anomaly_from_labels_alone(lay_out, tmp_path, layout, folder, suffix, shift):
    bdd_tree(lay_out, folder, suffix, shift)
    manifest, bad, _ = prepare_scenes(SceneSource("bdd", tmp_path, layout, photographs=False))
    roles = manifest.groupby("image_set")["id"].apply(list).to_dict()
    assert roles == {
        "train": ["bdd/train/a"],
        "validation": ["bdd/val/d"],
        "test": ["bdd/train/b", "bdd/train/c", "bdd/val/e"],
    }
    assert len(bad) == 0
    assert anomalous_area(manifest) == (pytest.approx(1 / 3), 0)
    shown = manifest.assign(name=manifest["classes"].str.split(";")).explode("name")
    assert shown.groupby(["name", "split"]).size().loc[["train", "motorcycle", "bicycle", "other"]].to_dict() == {
        **{("train", "train"): 1, ("motorcycle", "train"): 1, ("bicycle", "train"): 1, ("bicycle", "val"): 1},
        **{("other", "train"): 2, ("other", "val"): 2},
    }
    first = label_map(layout).apply(read_labels(tmp_path / manifest["label_path"][0]))
    assert first.tolist() == [[1, 2, 14, 0]]


def test_the_wrong_kind_of_bdd_labels_is_found_out(lay_out, tmp_path):
    bdd_tree(lay_out, "seg/train_labels", "_train_id", 0)
    with pytest.raises(ValueError, match=r"5 of 5 labelled images .*label ids 0, 255 are not in bdd_anomaly"):
        prepare_scenes(SceneSource("bdd", tmp_path, "bdd_anomaly", photographs=False))
    with pytest.raises(ValueError, match="label map bdd100k does not fit the layout bdd_anomaly"):
        prepare_scenes(SceneSource("bdd", tmp_path, "bdd_anomaly", "bdd100k"))


def test_streethazards(lay_out, tmp_path):
    lay_out(
        ("train/images/training/t1/1.png", "train/annotations/training/t1/1.png", [1, 2, 3, 13]),
        ("train/images/validation/t5/1.png", "train/annotations/validation/t5/1.png", [1, 8, 8, 8]),
        ("test/images/test/t6/1.png", "test/annotations/test/t6/1.png", [1, 14, 14, 8]),
        ("test/images/test/t6/2.png", "test/annotations/test/t6/2.png", [1, 4, 4, 8]),
    )
    manifest, _, _ = prepare_scenes(SceneSource("streets", tmp_path, "streethazards"))
    assert manifest["image_set"].tolist() == ["train", "validation", "test", "test"]
    assert manifest["sequence"].tolist() == ["t1", "t5", "t6", "t6"]
    assert manifest["void"].sum() == 0
    assert anomalous_area(manifest).without == 1
    masked, _, _ = prepare_scenes(SceneSource("streets", tmp_path, "streethazards", "streethazards_masked"))
    assert masked["void"].tolist() == [1, 1, 1, 1]
    test_only, _, _ = prepare_scenes(SceneSource("streets", tmp_path, "streethazards", splits=["test"]))
    assert test_only["id"].tolist() == ["streets/test/t6/1", "streets/test/t6/2"]


@pytest.mark.parametrize(
    ("layout", "image", "label"),
    [
        (
            "fishyscapes_lost_and_found",
            "leftImg8bit/test/s/s_000_001_leftImg8bit.png",
            "fishyscapes_lostandfound/0000_s_000_001_labels.png",
        ),
        ("road_anomaly", "frames/x.jpg", "frames/x.labels/labels_semantic.png"),
    ],
)
def test_evaluation_only(lay_out, tmp_path, layout, image, label):
    anomaly = 2 if layout == "road_anomaly" else 1
    lay_out((image, label, [0, 0, anomaly, 255]))
    manifest, _, _ = prepare_scenes(SceneSource("set", tmp_path, layout))
    assert manifest[["image_set", "anomalous", "void"]].to_numpy().tolist() == [["test", 1, 1]]
    assert len(label_map_of(layout).classes) == 1


def road_anomaly(lay_out, *scenes):
    lay_out(*((f"frames/{n}.jpg", f"frames/{n}.labels/labels_semantic.png", list(ids)) for n, ids in enumerate(scenes)))


def test_road_is_not_anomalous_in_road_anomalys_own_labels(lay_out, tmp_path):
    road_anomaly(lay_out, (0, 1, 1, 2), (1, 1, 1, 255))
    manifest, _, _ = prepare_scenes(SceneSource("set", tmp_path, "road_anomaly"))
    assert manifest[["anomalous", "void"]].to_numpy().tolist() == [[1, 0], [0, 1]]


def test_converted_labels_of_road_anomaly_have_a_map_of_their_own(lay_out, tmp_path):
    road_anomaly(lay_out, (0, 0, 0, 1), (0, 1, 1, 255))
    manifest, _, _ = prepare_scenes(SceneSource("set", tmp_path, "road_anomaly", "road_anomaly_binary"))
    assert manifest[["anomalous", "void"]].to_numpy().tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize(
    ("labels", "scenes", "told"),
    [
        (
            "road_anomaly",
            [(0, 0, 1), (0, 1, 255)],
            "Found in 2 label images: 0 in 2, 1 in 2, 255 in 1; they are those of road_anomaly_binary (data.label_map)",
        ),
        (
            "road_anomaly_binary",
            [(0, 1, 2), (0, 1, 1)],
            "Found in 2 label images: 0 in 2, 1 in 2, 2 in 1; they are those of road_anomaly (data.label_map)",
        ),
        # Masks of 0 and 255, train ids of Cityscapes, nothing anomalous at all.
        ("road_anomaly", [(0, 0, 255)], "0 in 1, 255 in 1; no map of this layout fits them"),
        ("road_anomaly", [(0, 1, 2), (13, 7, 2)], "0 in 1, 1 in 1, 2 in 2, 7 in 1, 13 in 1; no map of this layout"),
        ("road_anomaly_binary", [(0, 0, 0)], "0 in 1; no map of this layout fits them"),
    ],
)
def test_a_copy_of_road_anomaly_with_other_ids_is_refused(lay_out, tmp_path, labels, scenes, told):
    road_anomaly(lay_out, *scenes)
    with pytest.raises(LabelKindError, match=re.escape(told)):
        prepare_scenes(SceneSource("set", tmp_path, "road_anomaly", labels))


def test_a_tolerated_share_of_strange_labels_is_set_apart_here_too(lay_out, tmp_path):
    road_anomaly(lay_out, (0, 1, 2), (0, 1, 2), (0, 1, 9))
    manifest, bad, _ = prepare_scenes(SceneSource("set", tmp_path, "road_anomaly"), most=0.4)
    assert len(manifest) == 2
    assert bad["problem"].str.startswith("label ids 9 are not in road_anomaly").all()


def test_folders_of_ones_own(lay_out, tmp_path):
    lay_out(("rgb/a.jpg", "ids/a.png", [40, 50, 60, 70]), ("rgb/b.jpg", "ids/b.png", [40, 40, 50, 50]))
    source = SceneSource(
        "mine",
        tmp_path,
        "paired_folders",
        LabelMap.from_ids("mine", {40: 0, 50: 1, 60: "anomaly", 70: "void"}),
        SplitRule({"all": "train"}, anomalous="test"),
        pairings=[Pairing("all", "rgb", "ids")],
    )
    manifest, _, _ = prepare_scenes(source)
    assert manifest[["id", "image_set"]].to_numpy().tolist() == [["mine/all/b", "train"], ["mine/all/a", "test"]]


def test_the_general_layout_needs_a_map_and_a_rule():
    with pytest.raises(ValueError, match="paired_folders needs a label map"):
        label_map_of("paired_folders")
    with pytest.raises(ValueError, match="paired_folders needs a split rule"):
        rule_of("paired_folders")


def test_a_few_bad_images_are_tolerated_if_one_says_so(lay_out, tmp_path):
    bdd_tree(lay_out, "train_labels", "_train_id", 2)
    lay_out((None, "train_labels/val/f_train_id.png", [0, 21, 1, 1]))
    source = SceneSource("bdd", tmp_path, "bdd_anomaly", photographs=False)
    manifest, bad, _ = prepare_scenes(source, most=0.2)
    assert len(manifest) == 5
    assert bad["problem"].tolist()[0].startswith("label ids 0, 21 are not in bdd_anomaly")
    with pytest.raises(ValueError, match="1 of 6 labelled images"):
        prepare_scenes(source)


def camvid_tree(lay_out):
    """Every split has a clean image and one with a Bicyclist; sequence s3 has none to train on."""
    return lay_out(
        ("train/s1_1.jpg", "trainannot/s1_1.png", [0, 1]),
        ("train/s1_2.jpg", "trainannot/s1_2.png", [0, 10]),
        ("val/s1_3.jpg", "valannot/s1_3.png", [0, 11]),
        ("val/s1_4.jpg", "valannot/s1_4.png", [10, 11]),
        ("test/s3_1.jpg", "testannot/s3_1.png", [9, 9]),
        ("test/s3_2.jpg", "testannot/s3_2.png", [9, 10]),
    )


def test_camvid(lay_out, tmp_path):
    camvid_tree(lay_out)
    manifest, _, _ = prepare_scenes(SceneSource("camvid", tmp_path, "camvid"))
    assert manifest["image_set"].tolist() == ["train", "validation", "validation", "test", "test", "test"]
    assert dict(zip(manifest["id"][3:], manifest["subsets"][3:], strict=True)) == {
        "camvid/test/s3_2": "all;held_out_splits;unseen_sequences",
        "camvid/train/s1_2": "all",
        "camvid/val/s1_4": "all;held_out_splits",
    }


@pytest.mark.skipif(not CAMVID.is_dir(), reason=f"the real photographs of CamVid are not at {CAMVID}")
def test_camvid_counts_on_the_real_labels():
    manifest, bad, _ = prepare_scenes(SceneSource("camvid", CAMVID, "camvid", photographs=False))
    assert len(bad) == 0
    assert manifest["image_set"].value_counts().to_dict() == {"test": 379, "train": 166, "validation": 156}
    sizes = {name: int(in_subset(manifest, name).sum()) for name in ("all", "held_out_splits", "unseen_sequences")}
    assert sizes == {"all": 379, "held_out_splits": 178, "unseen_sequences": 49}
    assert set(manifest.loc[in_subset(manifest, "unseen_sequences"), "sequence"]) == {"Seq05VD"}
    anomalous = manifest[manifest["anomalous"] > 0]
    assert anomalous["split"].value_counts().to_dict() == {"train": 201, "val": 101, "test": 77}
    assert anomalous["anomalous"].min() == 4
    area = anomalous_area(manifest)
    assert area.without == 0
    assert area.mean_share == pytest.approx(0.0099, abs=5e-5)
