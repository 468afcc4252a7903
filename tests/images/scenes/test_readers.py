"""Each layout on a tree of its own; whatever has no partner is named, all at once."""

import re

import pytest

from scaling_ood.images.scenes import LAYOUTS
from scaling_ood.images.scenes.listing import list_scenes
from scaling_ood.images.scenes.pairing import Pairing, Scene, UnpairedError

SH, BDD, FS = "streethazards", "bdd_anomaly", "fishyscapes_lost_and_found"
TREES = {
    SH: (
        [
            "train/images/training/t1-3/100.png",
            "train/images/training/t4/100.png",
            "train/annotations/training/t1-3/100.png",
            "train/annotations/training/t4/100.png",
            "train/images/validation/t5/7.png",
            "train/annotations/validation/t5/7.png",
            "test/images/test/t6/9.png",
            "test/annotations/test/t6/9.png",
        ],
        [
            ("t6/9", "test/images/test/t6/9.png", "test/annotations/test/t6/9.png", "test", "t6"),
            *(
                (
                    f"{town}/100",
                    f"train/images/training/{town}/100.png",
                    f"train/annotations/training/{town}/100.png",
                    "train",
                    town,
                )
                for town in ("t1-3", "t4")
            ),
            ("t5/7", "train/images/validation/t5/7.png", "train/annotations/validation/t5/7.png", "validation", "t5"),
        ],
    ),
    BDD: (
        [
            "seg/images/train/a.jpg",
            "seg/images/val/b.jpg",
            "seg/train_labels/train/a_train_id.png",
            "seg/train_labels/val/b_train_id.png",
            "seg/labels/train/a_train_id.png",
            "seg/color_labels/train/a_train_color.png",
        ],
        [
            ("a", "seg/images/train/a.jpg", "seg/train_labels/train/a_train_id.png", "train", ""),
            ("b", "seg/images/val/b.jpg", "seg/train_labels/val/b_train_id.png", "val", ""),
        ],
    ),
    "bdd100k": (
        [
            "images/10k/train/a.jpg",
            "images/10k/val/b.jpg",
            "images/10k/test/c.jpg",
            "labels/sem_seg/masks/train/a.png",
            "labels/sem_seg/masks/val/b.png",
        ],
        [
            ("a", "images/10k/train/a.jpg", "labels/sem_seg/masks/train/a.png", "train", ""),
            ("b", "images/10k/val/b.jpg", "labels/sem_seg/masks/val/b.png", "val", ""),
        ],
    ),
    FS: (
        [
            "fishyscapes_lostandfound/0000_04_Weg_8_000000_000030_labels.png",
            "fishyscapes_lostandfound/0001_02_Str_000001_000010_labels.png",
            "leftImg8bit/train/04_Weg_8/04_Weg_8_000000_000030_leftImg8bit.png",
            "leftImg8bit/train/04_Weg_8/04_Weg_8_000000_000040_leftImg8bit.png",
            "leftImg8bit/test/02_Str/02_Str_000001_000010_leftImg8bit.png",
        ],
        [
            (
                "0000_04_Weg_8_000000_000030",
                "leftImg8bit/train/04_Weg_8/04_Weg_8_000000_000030_leftImg8bit.png",
                "fishyscapes_lostandfound/0000_04_Weg_8_000000_000030_labels.png",
                "val",
                "04_Weg_8",
            ),
            (
                "0001_02_Str_000001_000010",
                "leftImg8bit/test/02_Str/02_Str_000001_000010_leftImg8bit.png",
                "fishyscapes_lostandfound/0001_02_Str_000001_000010_labels.png",
                "val",
                "02_Str",
            ),
        ],
    ),
    "road_anomaly": (
        [
            "frames/animals1.jpg",
            "frames/animals1.labels/labels_semantic.png",
            "frames/animals1.labels/labels_instance.png",
            "frames/animals1.labels/labels_semantic_color.png",
            "frame_list.json",
        ],
        [("animals1", "frames/animals1.jpg", "frames/animals1.labels/labels_semantic.png", "all", "")],
    ),
    "camvid": (
        [
            f"{split}{kind}"
            for split in ("train", "val", "test")
            for kind in ("/0001TP_1.jpg", "/Seq05VD_f2.png", "annot/0001TP_1.png", "annot/Seq05VD_f2.png")
        ],
        [
            (stem, f"{split}/{stem}{ending}", f"{split}annot/{stem}.png", split, stem.split("_")[0])
            for split in ("test", "train", "val")
            for stem, ending in (("0001TP_1", ".jpg"), ("Seq05VD_f2", ".png"))
        ],
    ),
    "own_outputs": (
        [f"{kind}/{name}.png" for kind in ("labels", "images") for name in ("test/a", "test/b/c", "fit/d")],
        [
            ("d", "images/fit/d.png", "labels/fit/d.png", "fit", ""),
            ("a", "images/test/a.png", "labels/test/a.png", "test", ""),
            ("b/c", "images/test/b/c.png", "labels/test/b/c.png", "test", "b"),
        ],
    ),
    "paired_folders": (
        [
            "rgb/train/aachen/a_1_left.png",
            "gt/train/aachen/a_1_ids.png",
            "rgb/x/b.JPG",
            "gt/x/b.png",
        ],
        [
            ("b", "rgb/x/b.JPG", "gt/x/b.png", "all", ""),
            ("aachen/a_1", "rgb/train/aachen/a_1_left.png", "gt/train/aachen/a_1_ids.png", "city", "aachen"),
        ],
    ),
}
PAIRINGS = {
    "paired_folders": [
        Pairing("city", "rgb/train", "gt/train", image_suffix="_left", label_suffix="_ids"),
        Pairing("all", "rgb/x", "gt/x"),
    ]
}


def scenes(layout, root, **options):
    return list_scenes(layout, root, pairings=PAIRINGS.get(layout, ()), **options)[0]


def test_every_layout_has_a_tree_here():
    assert sorted(LAYOUTS) == sorted(TREES)


@pytest.mark.parametrize("layout", TREES)
def test_pairs_exactly_the_labelled_images(make_tree, layout):
    paths, expected = TREES[layout]
    assert scenes(layout, make_tree(*paths)) == [Scene(*each) for each in expected]


@pytest.mark.parametrize("layout", TREES)
def test_hidden_files_and_folders_do_not_count(make_tree, layout):
    paths, expected = TREES[layout]
    beside = [path.replace(name := path.split("/")[-1], f"._{name}") for path in paths]
    inside = [f"{path.rsplit('/', 1)[0]}/.thumbnails/{path.rsplit('/', 1)[-1]}" for path in paths if "/" in path]
    assert len(scenes(layout, make_tree(*paths, *beside, *inside))) == len(expected)


@pytest.mark.parametrize("layout", TREES)
def test_the_list_needs_no_photographs(make_tree, layout):
    paths, expected = TREES[layout]
    photographs = {image for _, image, *_ in expected}
    root = make_tree(*(path for path in paths if path not in photographs))
    wanted = [Scene(key, "", label, split, sequence) for key, _, label, split, sequence in expected]
    assert scenes(layout, root, photographs=False) == wanted
    with pytest.raises(UnpairedError, match=r"no folder|have no photograph"):
        scenes(layout, root)


@pytest.mark.parametrize("layout", TREES)
def test_every_missing_partner_is_named(make_tree, tmp_path, layout):
    paths, expected = TREES[layout]
    make_tree(*paths)
    first, last = expected[0], expected[-1]
    (tmp_path / last[1]).unlink()
    missing = [last[2]]
    if layout != FS and first != last:
        (tmp_path / first[2]).unlink()
        missing.append(first[1])
    with pytest.raises(UnpairedError, match=re.escape(f"{layout} in {tmp_path}: ")) as error:
        scenes(layout, tmp_path)
    assert all(path in str(error.value) for path in missing)


def test_the_message_counts_and_cuts(make_tree):
    labels = [f"valannot/x_{number:02d}.png" for number in range(12)]
    root = make_tree(*TREES["camvid"][0], *labels, "test/lonely.jpg")
    with pytest.raises(UnpairedError) as error:
        list_scenes("camvid", root)
    assert str(error.value) == (
        f"camvid in {root}: test: 1 photographs have no label image: test/lonely.jpg; "
        f"val: 12 label images have no photograph: {', '.join(labels[:10])}, … and 2 more"
    )


def test_missing_folders_are_one_problem_each(make_tree):
    root = make_tree("train/images/training/t1/1.png", "train/annotations/validation/t5/7.png")
    with pytest.raises(UnpairedError) as error:
        list_scenes(SH, root)
    assert str(error.value) == (
        f"{SH} in {root}: test: no folder test/annotations/test; test: no folder test/images/test; "
        "train: no folder train/annotations/training; validation: no folder train/images/validation"
    )


def test_some_splits_need_only_their_own_folders(make_tree):
    root = make_tree(*(path for path in TREES[SH][0] if path.startswith("test/")))
    assert [scene.sequence for scene in scenes(SH, root, splits=["test"])] == ["t6"]


def test_two_photographs_of_one_name(make_tree):
    root = make_tree(*TREES["camvid"][0], "train/0001TP_1.png")
    with pytest.raises(UnpairedError, match=r"train: several photographs in train share a name: 0001TP_1$"):
        list_scenes("camvid", root)


def test_bdd_labels_without_the_suffix_do_not_hide_one_with_it(make_tree):
    root = make_tree(*TREES[BDD][0], "seg/train_labels/train/a.png")
    with pytest.raises(UnpairedError, match="several label images in seg/train_labels/train share a name: a"):
        list_scenes(BDD, root)


def test_fishyscapes_labels_may_lie_beside_the_photographs(make_tree):
    root = make_tree(*(path.removeprefix("fishyscapes_lostandfound/") for path in TREES[FS][0]))
    assert [scene.sequence for scene in scenes(FS, root)] == ["04_Weg_8", "02_Str"]


def test_fishyscapes_labels_of_another_name(make_tree):
    with pytest.raises(
        UnpairedError, match=r"val: a_labels\.png is not named <number>_<scene>_<number>_<number>_labels"
    ):
        list_scenes(FS, make_tree(*TREES[FS][0], "fishyscapes_lostandfound/a_labels.png"))


def test_empty_folders_hold_no_scene(make_tree):
    with pytest.raises(UnpairedError, match=r"all: no label image$"):
        list_scenes("paired_folders", make_tree("a/", "b/"), pairings=[Pairing("all", "a", "b")])


@pytest.mark.parametrize("layout", TREES)
def test_a_missing_data_set_is_named(tmp_path, layout):
    with pytest.raises(FileNotFoundError, match=re.escape(f"no folder {tmp_path / 'absent'}")):
        scenes(layout, tmp_path / "absent")


def test_unknown_names_come_with_the_nearest(make_tree):
    root = make_tree(*TREES[SH][0])
    with pytest.raises(ValueError, match=r"unknown layout 'street_hazards'; did you mean 'streethazards'\?"):
        list_scenes("street_hazards", root)
    with pytest.raises(ValueError, match=r"streethazards: unknown split 'val' .*known: test, train, validation\)"):
        list_scenes(SH, root, splits=["val"])


@pytest.mark.parametrize(("layout", "pairings"), [("paired_folders", []), (SH, PAIRINGS["paired_folders"])])
def test_only_the_general_reader_takes_folders(tmp_path, layout, pairings):
    with pytest.raises(ValueError, match="paired_folders needs the folders"):
        list_scenes(layout, tmp_path, pairings=pairings)


def test_files_that_are_left_out_are_told_where_partners_are_missing(make_tree):
    root = make_tree(*TREES["camvid"][0], "test/lonely.jpg", "testannot/lonely.tif", "testannot/.DS_Store")
    with pytest.raises(UnpairedError, match=r"lonely\.jpg; test: files that are left out there \(ending \.tif: 1\)"):
        list_scenes("camvid", root)
