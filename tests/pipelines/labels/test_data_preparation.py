"""Multi-label images to a manifest: targets, roles, unlabelled splits, bad annotations, and rendered scenes."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from encoded import turned_jpeg
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from label_toys import IDENTITY, RUNTIME, SIZES, UNLABELLED, data_sets, data_spec, write_picture
from PIL import Image
from scaling_ood.pipelines.data_preparation.label_nodes import fabricate_composites, prepare_label_manifest
from scaling_ood.plans import digest
from scaling_ood.preparation import Preparation

from miniatures.composite import CompositeSpec, composite_folders
from scaling_ood.datasets import FabricatedImagesDataset
from scaling_ood.images.manifest import COLUMNS, PartitionError, TooManyUnreadableError, set_digest
from scaling_ood.images.multi_label import AnnotationError
from scaling_ood.parameters.data_sets import DataSets
from scaling_ood.parameters.multi_label import CompositeFabricationSpec

SMALL = {
    "known_kinds": 10,
    "unseen_kinds": 5,
    "train_images": 4,
    "val_images": 4,
    "ood_images": 1,
    "control_images": 1,
    "size_px": 32,
}


def prepare(root, data=None, sets=None):
    return prepare_label_manifest(str(root), sets or data_sets(), data or data_spec(), IDENTITY, RUNTIME)


def names_in(root, split):
    """File to the names of the classes in it, counted from the JSON without the readers."""
    document = json.loads((Path(root) / f"annotations/instances_{split}.json").read_text())
    files = {each["id"]: each["file_name"] for each in document["images"]}
    names = {each["id"]: each["name"] for each in document["categories"]}
    shown = defaultdict(set)
    for box in document["annotations"]:
        shown[files[box["image_id"]]].add(names[box["category_id"]])
    return {file: shown[file] for file in files.values()}


def names_of(rows, classes):
    """The same of a manifest, whose `labels` are indices joined by semicolons."""
    return {
        Path(path).name: {classes[int(index)] for index in labels.split(";") if index}
        for path, labels in zip(rows["path"], rows["labels"], strict=True)
    }


def test_a_manifest_has_the_documented_columns_and_one_row_per_image(manifest):
    assert list(manifest.columns) == [*COLUMNS, "labels"]
    assert manifest["id"].is_unique
    sizes = {"train": 20, "fit": 12, "test": 13, "wild": 8, "static": 6}
    assert manifest.groupby("image_set", sort=False).size().to_dict() == sizes


def test_targets_are_those_of_an_independent_count_and_classes_come_by_their_ids(manifest, preparation, data_root):
    classes = preparation["classes"]
    assert classes == ["bee", "ant", "cow"]
    for split in SIZES:
        rows = manifest[(manifest["data_set"] == "coco") & (manifest["split"] == split.removesuffix("2017"))]
        assert names_of(rows, classes) == names_in(f"{data_root}/coco", split)


def test_images_without_any_label_are_kept_and_are_not_unlabelled(manifest):
    empty = manifest[manifest["labels"] == ""]
    # 0, 8, 16 of train and 0, 8, 16, 24 of val; 8 has a crowd, which counts.
    assert sorted(Path(path).name for path in empty["path"]) == ["000.png", "000.png", "016.png", "016.png", "024.png"]


def test_crowds_count_unless_they_are_ignored(data_root):
    def labels(**hard):
        data = data_spec(labelled={"layout": "coco", "folder": "coco", **hard})
        rows, _, _ = prepare(data_root, data)
        return rows.set_index("id").loc["coco/train2017/008.png", "labels"]

    assert (labels(), labels(hard_objects="ignored")) == ("0", "")


def test_ood_images_have_no_label_whatever_their_folder_is_called(manifest):
    unseen = manifest[manifest["image_set"].isin(["wild", "static"])]
    assert unseen["labels"].isna().all()
    assert set(unseen["label"]) == {-1}
    assert set(unseen.loc[unseen["image_set"] == "wild", "class_name"]) == {"n02508213", "n02139199"}


def test_no_image_has_two_roles_and_the_seed_decides_them(data_root):
    fits = []
    for seed in (1, 1, 2):
        rows, _, _ = prepare(data_root, data_spec(seed=seed))
        known = rows[rows["data_set"] == "coco"]
        assert known["path"].is_unique
        fits.append(set(known.loc[known["image_set"] == "fit", "id"]))
        assert not fits[-1] & set(known.loc[known["image_set"] != "fit", "id"])
    assert fits[0] == fits[1] != fits[2]


def test_a_role_without_images_left_is_an_error(data_root):
    with pytest.raises(PartitionError, match="test: nothing is left in split val"):
        prepare(data_root, data_spec(fit={"split": "val"}))


def test_the_record_holds_sizes_digests_sources_and_folders(manifest, preparation, data_root):
    record = Preparation.model_validate(preparation)
    assert (record.benchmark, record.in_dist, record.ood) == ("toy", "coco", ("wild", "static"))
    assert record.folders == {"wild": f"{data_root}/wild", "coco": f"{data_root}/coco"}
    assert record.sources == {"wild": "photographs", "static": "noise"}
    assert record.titles == record.classes
    assert (record.groups, record.group_of_class) == ((), ())
    for name, rows in manifest.groupby("image_set"):
        assert (record.images[name], record.digests[name]) == (len(rows), set_digest(rows))


def test_moved_data_keeps_every_digest_and_another_label_changes_one(data_root, preparation, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(data_root, moved)
    _, _, same = prepare(moved)
    assert same["digests"] == preparation["digests"]
    assert same["folders"] != preparation["folders"]
    path = moved / "coco/annotations/instances_train2017.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["category_id"] = 3 if document["annotations"][0]["category_id"] != 3 else 7
    path.write_text(json.dumps(document))
    _, _, other = prepare(moved)
    assert {name for name in other["digests"] if other["digests"][name] != same["digests"][name]} == {"train"}


def test_a_test_split_without_annotations_is_unlabelled_and_not_empty(unlabelled):
    manifest, _, record = unlabelled
    test = manifest[manifest["image_set"] == "test"]
    assert len(test) == UNLABELLED == record["images"]["test"]
    assert test["labels"].isna().all()
    assert record["images"]["fit"] == SIZES["val2017"]
    assert manifest.loc[manifest["image_set"] == "fit", "labels"].notna().all()


def test_annotations_of_vocs_test_split_are_left_alone_where_they_are_not_meant_for_it(data_root, tmp_path):
    shown = {"train": ["cat bird", ""], "val": ["cow"], "test": ["bird", None]}
    voc = tmp_path / "voc/VOCdevkit/VOC2012"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / folder).mkdir(parents=True)
    for split, images in shown.items():
        (voc / f"ImageSets/Main/{split}.txt").write_text("".join(f"{split}{n}\n" for n in range(len(images))))
        for number, names in enumerate(images):
            write_picture(voc / f"JPEGImages/{split}{number}.jpg", (90, 90, 90), [len(split), ord(split[1]), number])
            if names is not None:
                objects = "".join(f"<object><name>{name}</name></object>" for name in names.split())
                (voc / f"Annotations/{split}{number}.xml").write_text(f"<annotation>{objects}</annotation>")
    shutil.copytree(f"{data_root}/wild", tmp_path / "wild")
    labelled = {"layout": "voc", "folder": "voc", "year": 2012, "unlabelled": ["test"]}
    data = data_spec(in_dist="voc_2012", labelled=labelled, fit={"split": "val"}, test={"split": "test"})
    manifest, _, record = prepare(tmp_path, data)
    rows = manifest.set_index("image_set")["labels"]
    assert rows["test"].isna().all()
    classes = record["classes"]
    assert [[classes[int(index)] for index in text.split(";") if index] for text in rows["train"]] == [
        ["bird", "cat"],
        [],
    ]
    assert classes[int(rows["fit"])] == "cow"


def test_all_that_is_wrong_with_the_annotations_is_told_at_once(data_root, tmp_path):
    shutil.copytree(data_root, tmp_path / "bad")
    path = tmp_path / "bad/coco/annotations/instances_val2017.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["category_id"] = 91
    path.write_text(json.dumps(document))
    (tmp_path / "bad/coco/val2017/004.png").unlink()
    (tmp_path / "bad/coco/annotations/instances_train2017.json").write_text('{"images": [')
    with pytest.raises(AnnotationError) as caught:
        prepare(tmp_path / "bad")
    message = str(caught.value)
    assert "unknown categories (1): annotations/instances_val2017.json: annotations[0]: category 91" in message
    assert "images listed but absent (1): val2017/004.png" in message
    assert "malformed annotations (1): annotations/instances_train2017.json" in message


def test_classes_of_the_papers_table_without_a_folder_are_named_with_their_titles(data_root):
    table = {"classes": {"table": "multi_label_ood"}, "titles": "multi_label_ood"}
    given = data_sets().model_dump()
    sets = DataSets.model_validate(given | {"wild": given["wild"] | table})
    with pytest.raises(AnnotationError) as caught:
        prepare(data_root, sets=sets)
    message = str(caught.value)
    assert "n02431122 (" in message
    assert "n02508213" not in message


def test_a_damaged_image_is_quarantined_and_counted(data_root, tmp_path):
    shutil.copytree(data_root, tmp_path / "copy")
    (tmp_path / "copy/coco/train2017/003.png").write_bytes(b"\x89PNG half")
    rows, bad, record = prepare(tmp_path / "copy", data_spec(most_unreadable=0.05))
    assert list(bad["id"]) == ["coco/train2017/003.png"]
    assert (record["unreadable"], record["images"]["train"]) == (1, 19)
    assert "coco/train2017/003.png" not in set(rows["id"])
    with pytest.raises(TooManyUnreadableError, match=r"coco/train2017/003\.png"):
        prepare(tmp_path / "copy")


def test_images_that_exif_would_turn_are_counted_and_turned_by_option(data_root, tmp_path):
    shutil.copytree(data_root, tmp_path / "copy")
    rows, _, before = prepare(tmp_path / "copy")
    first = rows[rows["image_set"] == "wild"].iloc[0]
    place = Path(before["folders"]["wild"], first["path"])
    with Image.open(place) as image:
        place.write_bytes(turned_jpeg(image.copy(), 6))
    records = {}
    for said in ("stored", "upright"):
        _, _, record = prepare(tmp_path / "copy", data_spec(orientation=said))
        records[said] = Preparation.model_validate(record)
        assert records[said].orientation == said
        assert list(records[said].oriented.values()) == [1]
    digests = [records[said].digests for said in ("stored", "upright")]
    changed = {name for name in digests[0] if digests[0][name] != digests[1][name]}
    assert changed == set(records["stored"].oriented)


def test_the_plan_of_the_scenes_has_a_part_for_the_annotations_and_one_per_folder_of_images():
    plan = fabricate_composites(CompositeFabricationSpec.model_validate(SMALL))
    sizes = {part.name: part.items for part in plan.parts}
    assert sizes.pop("in_dist/annotations") == 2
    assert {sizes.pop(f"in_dist/{split}2017") for split in ("train", "val")} == {4}
    folders = composite_folders(CompositeSpec(**SMALL))
    assert sizes == {name: one.images for name, one in folders.items() if name not in ("train", "val")}
    other = fabricate_composites(CompositeFabricationSpec.model_validate(SMALL | {"seed": 1}))
    assert plan.key == fabricate_composites(CompositeFabricationSpec.model_validate(SMALL)).key != other.key
    assert plan.key != digest("composite", 2, CompositeSpec(**SMALL))


def test_the_scenes_run_through_the_graph_and_missing_folders_alone_are_rendered_again(tmp_path):
    sets = {
        "unseen_kinds": {"source": "fabricated", "layout": "class_folders", "folder": "ood"},
        "control": {"source": "fabricated", "layout": "class_folders", "folder": "control"},
    }
    data = data_spec(
        in_dist="miniature",
        labelled={"source": "fabricated", "layout": "coco", "folder": "in_dist"},
        ood=["unseen_kinds", "control"],
    )
    place = tmp_path / "rendered"
    catalog = DataCatalog(
        {
            "images": FabricatedImagesDataset(filepath=str(place)),
            "data_root": MemoryDataset(str(tmp_path)),
            "params:fabrication": MemoryDataset(CompositeFabricationSpec.model_validate(SMALL)),
            "params:data_sets": MemoryDataset(DataSets.model_validate(sets)),
            "params:data": MemoryDataset(data),
            "params:identity": MemoryDataset(IDENTITY),
            "params:runtime": MemoryDataset(RUNTIME),
            **{name: MemoryDataset() for name in ("manifest", "quarantine", "preparation")},
        }
    )
    inputs = ["data_root", "params:data_sets", "params:data", "params:identity", "params:runtime", "images"]
    graph = Pipeline(
        [
            Node(fabricate_composites, "params:fabrication", "images", name="fabricate"),
            Node(prepare_label_manifest, inputs, ["manifest", "quarantine", "preparation"], name="prepare"),
        ]
    )
    SequentialRunner().run(graph, catalog)
    rows, record = catalog["manifest"].load(), Preparation.model_validate(catalog["preparation"].load())
    assert record.images == {"train": 4, "fit": 2, "test": 2, "unseen_kinds": 5, "control": 10}
    assert len(record.classes) == 10
    for split in ("train", "val"):
        own = rows[(rows["data_set"] == "miniature") & (rows["split"] == split)]
        assert names_of(own, record.classes) == names_in(place / "in_dist", f"{split}2017")

    kept = place / "in_dist/train2017"
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    shutil.rmtree(place / "in_dist/val2017")
    shutil.rmtree(place / "in_dist/annotations")
    SequentialRunner().run(graph, catalog)
    assert Preparation.model_validate(catalog["preparation"].load()) == record
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before


def test_rendered_images_need_the_fabrication(data_root):
    data = data_spec(labelled={"source": "fabricated", "layout": "coco", "folder": "in_dist"})
    with pytest.raises(ValueError, match="'in_dist' is to be fabricated, but the setting has no `fabrication`"):
        prepare(data_root, data)
