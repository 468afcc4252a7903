"""Whole multi-label benchmarks from folders to manifest; COCO128 against raccoons on the real photographs."""

from pathlib import Path

import pytest
from coco_documents import coco_document

from scaling_ood.images import EmptyClassError
from scaling_ood.images.manifest import COLUMNS, Part, PartitionError, TooManyUnreadableError, set_digest
from scaling_ood.images.multi_label import (
    AnnotationError,
    MultiLabelSource,
    UnseenSource,
    is_labelled,
    list_multi_label,
    list_unseen,
    prepare_multi_label,
    targets,
)
from scaling_ood.images.tables import class_table

DATA = Path(__file__).parents[3].parent / "shared" / "data"
PARTS = {"train": Part("train"), "fit": Part("val", share=0.5), "test": Part("val")}
NAMES = {3: "ant", 1: "bee", 7: "cow"}


@pytest.fixture
def benchmark(coco_set, make_tree, make_picture):
    """Readable images: six to train on, four of the split val, and two unseen classes of two images each."""
    boxes = [(0, 3), (0, 1), (1, 7), (2, 3), (4, 1), (4, 7), (5, 1)]
    root = coco_set(
        {
            "train2017": coco_document({number: f"{number}.jpg" for number in range(6)}, boxes, NAMES),
            "val2017": coco_document({number: f"{number}.jpg" for number in range(4)}, boxes[:4], NAMES),
        }
    )
    make_tree(*(f"ood/{wnid}/{number}.JPEG" for wnid in ("n02508213", "n02139199") for number in range(2)))
    for number, path in enumerate([*root.rglob("*.jpg"), *root.rglob("*.JPEG")]):
        make_picture(8, 8, seed=number).save(path)
    return root


def coco(root, **options):
    return MultiLabelSource("coco", root, "coco", **options)


def unseen(root, **options):
    return UnseenSource("wild", root / "ood", **options)


def test_a_manifest_of_in_distribution_and_unseen_images(benchmark):
    manifest, bad, classes = prepare_multi_label(coco(benchmark), PARTS, [unseen(benchmark, table=None)])
    assert classes == ("bee", "ant", "cow")
    assert list(manifest.columns) == [*COLUMNS, "labels"]
    assert manifest["image_set"].value_counts().to_dict() == {"train": 6, "fit": 2, "test": 2, "wild": 4}
    assert manifest["id"].is_unique
    assert manifest["content"].str.fullmatch("[0-9a-f]{16}").all()
    assert len(bad) == 0
    train = manifest[manifest["image_set"] == "train"]
    hot = targets(train, classes)
    assert hot.tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 1], [1, 0, 0]]
    wild = manifest[manifest["image_set"] == "wild"]
    assert not is_labelled(wild).any()
    assert wild["class_name"].tolist() == ["n02139199"] * 2 + ["n02508213"] * 2
    # Every image opens at the data set's own folder.
    assert all((benchmark / path).is_file() for path in manifest.loc[manifest["data_set"] == "coco", "path"])


def test_the_seed_decides_which_half_detectors_are_fitted_on(benchmark):
    fits = [
        tuple(prepare_multi_label(coco(benchmark), PARTS, seed=seed).manifest.query("image_set == 'fit'")["id"])
        for seed in (0, 0, 1, 2, 3)
    ]
    assert fits[0] == fits[1]
    assert len(set(fits)) > 1


def test_only_splits_that_a_part_draws_from_are_read(benchmark):
    (benchmark / "annotations/instances_train2017.json").unlink()
    parts = {"fit": Part("val", share=0.5), "test": Part("val")}
    assert len(prepare_multi_label(coco(benchmark), parts).manifest) == 4
    with pytest.raises(AnnotationError, match="instances_train2017"):
        prepare_multi_label(coco(benchmark), PARTS)


def test_unreadable_images_are_set_apart_with_their_labels(benchmark):
    path = benchmark / "train2017/4.jpg"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TooManyUnreadableError, match=r"1 of 10 images are unreadable.*coco/train2017/4\.jpg"):
        prepare_multi_label(coco(benchmark), PARTS)
    manifest, bad, classes = prepare_multi_label(coco(benchmark), PARTS, most=0.1)
    assert bad["id"].tolist() == ["coco/train2017/4.jpg"]
    assert targets(manifest[manifest["image_set"] == "train"], classes).sum() == 5


def test_two_sets_of_one_name_are_refused(benchmark):
    with pytest.raises(ValueError, match="two data sets have the same name: coco, coco"):
        prepare_multi_label(coco(benchmark), PARTS, [UnseenSource("coco", benchmark / "ood", table=None)])


def test_the_fingerprint_changes_with_the_labels_and_not_with_the_place(benchmark, tmp_path_factory):
    before, *_ = list_multi_label(coco(benchmark))
    rows = before.assign(content="x")
    moved = tmp_path_factory.mktemp("elsewhere") / "coco"
    (moved / "images").mkdir(parents=True)
    for name in ("train2017", "val2017"):
        (benchmark / name).rename(moved / "images" / name)
    (benchmark / "annotations").rename(moved / "annotations")
    after, *_ = list_multi_label(coco(moved))
    assert after["path"].tolist() != before["path"].tolist()
    assert set_digest(after.assign(content="x")) == set_digest(rows)
    digests = {set_digest(rows.assign(labels=labels)) for labels in ("", "0", None)}
    assert len(digests | {set_digest(rows)}) == 4


def test_every_class_of_the_papers_table_that_has_no_folder_is_named(benchmark):
    with pytest.raises(PartitionError) as caught:
        list_unseen(unseen(benchmark))
    table = class_table("multi_label_ood")
    for wnid, name in table[["wnid", "name"]].itertuples(index=False):
        assert (f"{wnid} ({name})" in str(caught.value)) == (wnid not in ("n02508213", "n02139199"))


def test_a_part_of_the_papers_classes_is_chosen_by_a_column(benchmark, make_tree):
    table = class_table("multi_label_ood")
    there = table.loc[table["imagenet_21k_p"] == "yes", "wnid"]
    make_tree(*(f"ood/{wnid}/0.JPEG" for wnid in there))
    rows = list_unseen(unseen(benchmark, column="imagenet_21k_p", value="yes"))
    assert sorted(set(rows["class_name"])) == list(there)
    assert set(list_unseen(unseen(benchmark, value="n02508213"))["class_name"]) == {"n02508213"}


def test_folders_of_other_classes_are_not_looked_at(benchmark, make_tree):
    make_tree("ood/n00000001/", "ood/n00000002/x.JPEG")
    assert len(list_unseen(unseen(benchmark, value="n02508213"))) == 2
    make_tree("ood/n02431122/")
    with pytest.raises(EmptyClassError, match=r"1 class folders of ood hold no image: n02431122"):
        list_unseen(unseen(benchmark, value="n02431122"))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real photographs are not in {DATA}")
def test_coco128_against_raccoons():
    raccoons = UnseenSource("raccoon", DATA / "raccoon", value="n02508213")
    manifest, bad, classes = prepare_multi_label(
        MultiLabelSource("coco128", DATA / "coco128", "coco"), PARTS, [raccoons]
    )
    assert manifest["image_set"].value_counts().to_dict() == {"raccoon": 200, "train": 128, "fit": 64, "test": 64}
    assert len(bad) == 0
    hot = targets(manifest[is_labelled(manifest)], classes)
    assert hot.shape == (256, 80)
    assert (hot.sum(axis=1) == 0).sum() == 2
