"""Manifests: who plays which role, what is set apart, and what a set's fingerprint stands for."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaling_ood.images.manifest import (
    Claim,
    PartitionError,
    TooManyUnreadableError,
    classes_of_table,
    list_noise,
    partition,
    quarantine,
    read_folder,
    sample,
    set_digest,
)

CLASSES = ("ant", "bee", "cow")


def listing(per_class: int = 10, splits: tuple[str, ...] = ("train", "val")) -> pd.DataFrame:
    rows = [
        (f"set/{split}/{name}/{number}", f"{split}/{name}/{number}.png", name, split)
        for split in splits
        for name in CLASSES
        for number in range(per_class)
    ]
    return pd.DataFrame(rows, columns=["id", "path", "class_name", "split"]).assign(data_set="set", number=-1)


def counts(rows: pd.DataFrame) -> dict[tuple[str, str], int]:
    return {(str(role), str(name)): len(part) for (role, name), part in rows.groupby(["image_set", "class_name"])}


def test_roles_on_one_split_share_it_without_overlap_and_use_all_of_it() -> None:
    parts = {"train": Claim("train"), "fit": Claim("val", per_class=3), "test": Claim("val")}
    rows = partition(listing(), parts, seed=0)
    expected = {("train", name): 10 for name in CLASSES} | {("fit", name): 3 for name in CLASSES}
    assert counts(rows) == expected | {("test", name): 7 for name in CLASSES}
    assert rows["id"].is_unique
    assert set(rows["id"]) == set(listing()["id"])
    assert set(rows.loc[rows["image_set"] == "train", "split"]) == {"train"}


def test_three_roles_can_draw_so_many_of_each_class_from_one_split() -> None:
    parts = {"train": Claim("train", 5), "fit": Claim("train", 2), "test": Claim("train", 3)}
    rows = partition(listing(), parts, seed=0)
    assert rows["id"].is_unique
    assert counts(rows) == {
        (role, name): size for role, size in (("train", 5), ("fit", 2), ("test", 3)) for name in CLASSES
    }


def test_a_share_is_of_the_whole_split_whatever_was_drawn_before() -> None:
    parts = {"train": Claim("train", share=0.5), "fit": Claim("train", share=0.3), "test": Claim("train")}
    rows = partition(listing(), parts, seed=0)
    assert rows["image_set"].value_counts().to_dict() == {"train": 15, "fit": 9, "test": 6}
    assert rows["id"].is_unique


def test_a_share_ignores_classes() -> None:
    drawn = {
        tuple(partition(listing(), {"fit": Claim("train", share=0.5)}, seed)["class_name"].value_counts().sort_index())
        for seed in range(10)
    }
    assert len(drawn) > 1


def test_the_same_seed_gives_the_same_roles_and_another_one_others() -> None:
    parts = {"fit": Claim("val", per_class=4), "test": Claim("val")}
    first = partition(listing(), parts, seed=3)
    pd.testing.assert_frame_equal(partition(listing(), parts, seed=3), first)
    other = partition(listing(), parts, seed=4)
    assert set(other.loc[other["image_set"] == "fit", "id"]) != set(first.loc[first["image_set"] == "fit", "id"])


def test_every_image_of_a_class_has_the_same_chance_to_be_drawn() -> None:
    drawn = pd.concat([partition(listing(4), {"fit": Claim("val", per_class=1)}, seed) for seed in range(150)])
    share = drawn["id"].value_counts() / 150
    assert len(share) == 12
    assert share.between(0.25 - 4 * 0.036, 0.25 + 4 * 0.036).all()


def test_rows_stay_in_their_order_within_a_role() -> None:
    rows = partition(listing(), {"fit": Claim("val", per_class=4), "test": Claim("val")}, seed=0)
    order = {name: place for place, name in enumerate(listing()["id"])}
    for _, part in rows.groupby("image_set"):
        assert part["id"].map(order).is_monotonic_increasing


def test_a_missing_split_is_named_with_those_that_are_there() -> None:
    with pytest.raises(PartitionError, match=r"fit: unknown split 'dev' \(known: train, val\)"):
        partition(listing(), {"fit": Claim("dev")}, seed=0)


def test_a_class_with_too_few_images_is_named_with_role_and_count() -> None:
    short = listing().drop(index=listing().query("split == 'val' and class_name == 'bee'").index[:8])
    parts = {"fit": Claim("val", per_class=3)}
    message = "fit: 1 classes have fewer than 3 images left in split val, such as bee with 2"
    with pytest.raises(PartitionError, match=message):
        partition(short, parts, seed=0)


def test_a_class_that_a_split_lacks_altogether_is_too_few() -> None:
    without = listing().query("not (split == 'val' and class_name == 'cow')")
    with pytest.raises(PartitionError, match="such as cow with 0"):
        partition(without, {"train": Claim("train"), "fit": Claim("val", per_class=1)}, seed=0)


@pytest.mark.parametrize(("fit", "size"), [(Claim("train", per_class=4), 4), (Claim("train", share=0.5), None)])
def test_fit_images_are_training_images_where_training_takes_their_whole_split(fit: Claim, size: int | None) -> None:
    rows = partition(listing(), {"train": Claim("train"), "fit": fit, "test": Claim("val")}, seed=0)
    ids = {role: list(part["id"]) for role, part in rows.groupby("image_set")}
    assert len(ids["train"]) == 30
    assert set(ids["fit"]) < set(ids["train"])
    assert not set(ids["test"]) & set(ids["train"])
    assert len(ids["fit"]) == (3 * size if size else 15)
    assert all(len(set(each)) == len(each) for each in ids.values())
    if size:
        assert set(counts(rows[rows["image_set"] == "fit"]).values()) == {size}


def test_the_whole_training_split_can_be_fitted_on_and_never_tested_on() -> None:
    rows = partition(listing(), {"train": Claim("train"), "fit": Claim("train"), "test": Claim("val")}, seed=0)
    assert set(rows.loc[rows["image_set"] == "fit", "id"]) == set(rows.loc[rows["image_set"] == "train", "id"])
    with pytest.raises(PartitionError, match="test: nothing is left in split train"):
        partition(listing(), {"train": Claim("train"), "fit": Claim("train", 2), "test": Claim("train")}, seed=0)


def test_a_role_that_finds_nothing_left_is_named() -> None:
    with pytest.raises(PartitionError, match="test: nothing is left in split val"):
        partition(listing(), {"fit": Claim("val"), "test": Claim("val")}, seed=0)


def test_shares_of_more_than_the_split_are_refused() -> None:
    parts = {"train": Claim("val", share=0.7), "fit": Claim("val", share=0.5)}
    with pytest.raises(PartitionError, match=r"fit: a share of 0.5 of split val is 15 images, but only 9 are left"):
        partition(listing(), parts, seed=0)


@pytest.fixture
def animals(tmp_path: Path, make_picture: Callable[..., object]) -> str:
    for split in ("train", "val"):
        for name in CLASSES:
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                make_picture(8, 8, seed=number).save(tmp_path / split / name / f"{number}.png")
    return str(tmp_path)


def test_a_folder_is_listed_with_ids_that_start_with_the_name_of_the_set(animals: str) -> None:
    rows, _ = read_folder("zoo", animals, "image_folder")
    assert len(rows) == 12
    first = {"id": "zoo/train/ant/0.png", "path": "train/ant/0.png", "class_name": "ant", "split": "train"}
    assert rows.iloc[0].to_dict() == {**first, "data_set": "zoo", "number": -1}


def test_splits_and_classes_can_be_selected(animals: str) -> None:
    rows, _ = read_folder("zoo", animals, "image_folder", ["val"], ["cow", "ant"])
    assert list(rows["path"]) == ["val/ant/0.png", "val/ant/1.png", "val/cow/0.png", "val/cow/1.png"]
    assert list(rows.index) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("splits", "classes", "message"),
    [
        (["test"], None, "zoo: no split test in"),
        (None, ["ant", "yak", "emu"], "zoo: no class_name emu, yak in"),
        (["test", "dev"], ["yak"], r"zoo: no split dev, test in .*; no class_name yak in"),
        (None, [f"yak {number:02d}" for number in range(25)], "yak 00, yak 01, .*, yak 19, … and 5 more in"),
    ],
)
def test_a_wanted_split_or_class_that_is_not_there_is_named(
    animals: str, splits: list[str] | None, classes: list[str] | None, message: str
) -> None:
    with pytest.raises(PartitionError, match=message):
        read_folder("zoo", animals, "image_folder", splits, classes)


def test_a_missing_class_is_named_with_its_title(animals: str) -> None:
    with pytest.raises(PartitionError, match=r"no class_name n1 \(yak\), n2 in "):
        read_folder("zoo", animals, "image_folder", class_names=["n1", "n2", "ant"], titles={"n1": "yak", "ant": "Ant"})


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match="zoo: no image in"):
        read_folder("zoo", str(tmp_path), "class_prefix")


def test_noise_is_listed_by_number_and_has_no_path() -> None:
    rows = list_noise("blobs", 3)
    assert rows.to_dict("list") == {
        "id": ["blobs/000000", "blobs/000001", "blobs/000002"],
        "number": [0, 1, 2],
        "path": ["", "", ""],
        "class_name": ["", "", ""],
        "split": ["all"] * 3,
        "data_set": ["blobs"] * 3,
        "image_set": ["blobs"] * 3,
        "label": [-1] * 3,
    }


def test_a_sample_is_drawn_by_seed_and_keeps_the_order() -> None:
    rows = listing()
    drawn = sample(rows, 7, seed=1)
    assert len(drawn) == 7
    assert list(drawn.index) == list(range(7))
    assert list(drawn["id"]) == [name for name in rows["id"] if name in set(drawn["id"])]
    assert list(sample(rows, 7, seed=1)["id"]) == list(drawn["id"]) != list(sample(rows, 7, seed=2)["id"])


@pytest.mark.parametrize("images", [None, 60, 61])
def test_a_sample_of_all_is_all(images: int | None) -> None:
    pd.testing.assert_frame_equal(sample(listing(), images, seed=0), listing())


def test_classes_are_picked_from_a_shipped_table() -> None:
    animals, objects = (classes_of_table("tiny_imagenet", "group", kind) for kind in ("animal", "object"))
    assert (len(animals), len(objects)) == (59, 141)
    assert not set(animals) & set(objects)
    known, held_out = (classes_of_table("tiny_imagenet", "near", kind) for kind in ("known", "held_out"))
    assert sorted(known + held_out) == sorted(animals)
    assert len(classes_of_table("tiny_imagenet", "group", None)) == 200


@pytest.mark.parametrize(
    ("column", "value", "known"),
    [("group", "plant", r"known: animal, object"), ("kind", "animal", r"known: wnid, name, group, near")],
)
def test_a_column_or_value_that_the_table_lacks_is_named_with_the_known_ones(
    column: str, value: str, known: str
) -> None:
    with pytest.raises(PartitionError, match=f"class table tiny_imagenet: no {column} = {value} .{known}"):
        classes_of_table("tiny_imagenet", column, value)


@pytest.fixture
def damaged(animals: str) -> str:
    whole = Path(animals, "train/bee/1.png")
    whole.write_bytes(whole.read_bytes()[:60])
    Path(animals, "val/cow/0.png").write_text("no image at all")
    return animals


def test_unreadable_images_are_set_apart_with_their_problem_and_the_others_kept(damaged: str) -> None:
    rows, _ = read_folder("zoo", damaged, "image_folder")
    good, bad = quarantine(rows, {"zoo": damaged}, workers=2, most=0.2)
    assert list(bad["id"]) == ["zoo/train/bee/1.png", "zoo/val/cow/0.png"]
    assert list(bad.columns) == ["id", "data_set", "path", "problem"]
    assert bad["problem"].str.len().gt(5).all()
    assert list(good["id"]) == [name for name in rows["id"] if name not in set(bad["id"])]
    assert good["content"].str.fullmatch("[0-9a-f]{16}").all()
    assert "problem" not in good


@pytest.mark.parametrize(("most", "refused"), [(2 / 12, False), (2 / 12 - 1e-9, True), (0.0, True)])
def test_more_unreadable_images_than_tolerated_are_an_error(damaged: str, most: float, refused: bool) -> None:
    rows, _ = read_folder("zoo", damaged, "image_folder")
    if not refused:
        assert len(quarantine(rows, {"zoo": damaged}, 2, most)[1]) == 2
        return
    with pytest.raises(TooManyUnreadableError, match="2 of 12 images are unreadable") as caught:
        quarantine(rows, {"zoo": damaged}, 2, most)
    assert "zoo/train/bee/1.png: " in str(caught.value)
    assert "zoo/val/cow/0.png: " in str(caught.value)
    assert "data.most_unreadable" in str(caught.value)


def test_noise_passes_the_check_and_does_not_count_for_the_share(damaged: str) -> None:
    rows = pd.concat([read_folder("zoo", damaged, "image_folder")[0], list_noise("blobs", 1000)], ignore_index=True)
    good, _ = quarantine(rows, {"zoo": damaged}, 2, most=2 / 12)
    assert (good["data_set"] == "blobs").sum() == 1000
    assert set(good.loc[good["data_set"] == "blobs", "content"]) == {""}
    with pytest.raises(TooManyUnreadableError, match="of 12 images"):
        quarantine(rows, {"zoo": damaged}, 2, most=0.1)


def test_a_tolerance_of_nothing_accepts_readable_images(animals: str) -> None:
    rows, _ = read_folder("zoo", animals, "image_folder")
    assert len(quarantine(rows, {"zoo": animals}, 2, most=0.0)[0]) == 12


def numbered() -> pd.DataFrame:
    return pd.DataFrame(
        {"id": ["a", "b", "c"], "label": [0, 1, 0], "content": ["x", "y", "z"], "path": ["1", "2", "3"]}
    )


@pytest.mark.parametrize(("column", "value"), [("id", "q"), ("label", 2), ("content", "w")])
def test_the_fingerprint_of_a_set_changes_with_ids_labels_and_contents(column: str, value: object) -> None:
    changed = numbered()
    changed.loc[1, column] = value
    assert set_digest(changed) != set_digest(numbered())


def test_the_fingerprint_of_a_set_changes_with_several_labels_at_once() -> None:
    several = [numbered().assign(labels=labels) for labels in (["0", "1", ""], ["0;1", "1", ""], ["0", "1", None])]
    assert len({set_digest(rows) for rows in [numbered(), *several]}) == 4


def test_the_fingerprint_of_a_set_is_the_one_that_stored_products_bear() -> None:
    text = "a|0|x\nb|1|y\nc|0|z"
    assert set_digest(numbered()) == hashlib.sha256(text.encode()).hexdigest()[:20]


def test_the_fingerprint_of_a_set_changes_with_order_and_number() -> None:
    assert len({set_digest(numbered()), set_digest(numbered()[::-1]), set_digest(numbered()[:2])}) == 3


def test_the_fingerprint_of_a_set_ignores_paths_index_and_other_columns() -> None:
    moved = numbered().assign(path="elsewhere", split="val", number=np.arange(3)).set_index(pd.Index([7, 8, 9]))
    assert set_digest(moved) == set_digest(numbered())


def test_one_changed_byte_of_one_image_changes_the_fingerprint(
    animals: str, make_picture: Callable[..., object]
) -> None:
    def fingerprint() -> str:
        rows = read_folder("zoo", animals, "image_folder")[0].assign(label=0)
        return set_digest(quarantine(rows, {"zoo": animals}, 2, 0.0)[0])

    before = fingerprint()
    assert fingerprint() == before
    make_picture(8, 8, seed=5).save(Path(animals, "val/cow/1.png"))
    assert fingerprint() != before


def test_a_data_set_without_any_readable_image_is_an_error_however_small_its_share(
    animals: str, tmp_path: Path
) -> None:
    lone = tmp_path / "lone"
    lone.mkdir()
    (lone / "x_1.png").write_text("no image at all")
    rows = [read_folder("zoo", animals, "image_folder")[0], read_folder("lone", str(lone), "class_prefix")[0]]
    with pytest.raises(TooManyUnreadableError, match=r"lone: no image is readable, such as lone/x_1\.png: "):
        quarantine(pd.concat(rows, ignore_index=True), {"zoo": animals, "lone": str(lone)}, 2, most=0.5)
