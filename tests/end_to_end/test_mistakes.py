"""Wrong input: one clear message that names the thing and the remedy, and no traceback."""

import json

import label_trees
import numpy as np
import pandas as pd
import pytest
from kedro_project import Project
from safetensors.numpy import load_file, save_file
from scaling_ood.datasets.kept_files import content_sum

pytestmark = pytest.mark.slow


def refused(outcome, *words):
    """The command failed with one message that has all these words."""
    assert outcome.code != 0
    assert "Traceback" not in outcome.output, outcome.output
    for word in words:
        assert word in outcome.output, outcome.output


@pytest.fixture
def empty(tmp_path):
    return Project.copy(tmp_path / "project")


def test_unknown_detector_and_misspelt_options_are_named_at_once(empty):
    wrong = {"detectors.max_logits": "{}", "detectors.energy.temprature": "2", "model.epoch": "3"}
    outcome = empty.kedro("run", "--params", ",".join(f"multi_class.{name}={value}" for name, value in wrong.items()))
    refused(outcome, "max_logits", "did you mean 'max_logit'", "nothing was run")
    refused(outcome, "temprature", "did you mean 'temperature'", "model.epoch", "did you mean 'epochs'")
    assert not (empty.path / "mlflow.db").exists()


def test_missing_products_are_named_with_the_command_that_makes_them(empty):
    refused(
        empty.kedro("run", "--pipelines", "score_extraction", "--namespaces", "multi_class.max_logit"),
        "multi_class.outputs",
        "kedro run --to-outputs multi_class.outputs --env test",
    )


def test_missing_photographs_are_named_before_any_run(empty):
    refused(
        empty.kedro("run", "--params", "data_root=nowhere", env="samples"),
        "multi_class tiny_imagenet_objects",
        "multi_label coco128",
        "nowhere/coco128, for multi_label coco128",
        "nowhere/raccoon, for multi_class raccoon, multi_label raccoon",
        "camvid",
        "nowhere/tiny-imagenet-200",
        "make samples",
        "--params data_root=DIR",
    )


def kept_as_they_are(project, images):
    """Let the records vouch for changed images, which would be rendered again otherwise."""
    raw = project.path / "data/01_raw/test"
    for folder in {image.parent for image in images}:
        record = raw / ".parts" / f"{folder.relative_to(raw)}.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": content_sum(folder)}))


def test_stale_outputs_are_refused_not_scored(project):
    refused(
        project.kedro("run", "--pipelines", "score_extraction", "--params", "multi_class.model.epochs=3"),
        "multi_class.model is stale",
        "kedro run --to-outputs multi_class.model",
    )
    project.run("--pipelines", "model_training", "--params", "multi_class.model.epochs=3")
    alone = (
        "--pipelines",
        "score_extraction",
        "--namespaces",
        "multi_class.msp",
        "--params",
        "multi_class.model.epochs=3",
    )
    refused(project.kedro("run", *alone), "multi_class.outputs is stale", "--to-outputs multi_class.outputs")


def test_too_many_corrupt_images_are_named(project):
    images = sorted((project.path / "data/01_raw/test/in_dist/val").rglob("*.jpg"))
    for path in images[:10]:
        path.write_bytes(path.read_bytes()[:200])
    kept_as_they_are(project, images[:10])
    refused(
        project.kedro("run", "--pipelines", "data_preparation"),
        "10 of",
        images[0].name,
        "data.most_unreadable",
    )


def test_a_few_corrupt_images_are_quarantined_and_listed(project):
    image = sorted((project.path / "data/01_raw/test/in_dist/val").rglob("*.jpg"))[0]
    image.write_bytes(b"no image")
    kept_as_they_are(project, [image])
    project.run("--pipelines", "data_preparation")
    listed = pd.read_csv(project.product("02_manifests/*/quarantine.csv"))
    assert [path.rsplit("/", 1)[-1] for path in listed["path"]] == [image.name]


def test_a_model_that_is_worse_than_known_is_refused(project):
    refused(
        project.kedro("run", "--pipelines", "score_extraction", "--params", "multi_class.model.least_top1=0.999"),
        "top-1 accuracy",
        "99.9%",
        "preprocessing",
    )


def test_a_nan_score_names_detector_image_and_count(project):
    outputs = project.product("07_model_output/*/outputs")
    shard = outputs / "montana-00000.safetensors"
    tensors = load_file(shard)
    tensors["fine_seed0/logits"][3] = np.nan
    save_file(tensors, shard)
    record = outputs / ".parts" / "montana-00000.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": content_sum(shard)}))
    refused(
        project.kedro("run", "--pipelines", "score_extraction", "--namespaces", "multi_class.max_logit"),
        "max_logit",
        "montana",
        "1 of",
        ".jpg",
    )


def test_an_ood_set_without_images_is_named(project):
    images = sorted((project.path / "data/01_raw/test/ood/montana").rglob("*.jpg"))
    for path in images:
        path.unlink()
    kept_as_they_are(project, images)
    refused(project.kedro("run", "--pipelines", "data_preparation"), "montana", "no image")


SPLITS = {"train": 6, "val": 4, "test": 2}


def edited(path, *changes):
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


def test_all_that_is_wrong_with_voc_is_named_at_once_before_any_training(empty):
    raw = empty.path / "data/01_raw"
    label_trees.voc(raw / "voc", SPLITS)
    label_trees.unseen_classes(raw / "multi_label_ood", set(label_trees.WNIDS) - {"n12285512", "n07691650"})
    base = raw / "voc/VOCdevkit/VOC2012"
    annotations = [base / f"Annotations/2012_00000{number}.xml" for number in range(1, 6)]
    edited(annotations[0], ("</annotation>", ""))
    edited(annotations[1], ("</name>", "x</name>"))
    edited(annotations[2], ("<difficult>1<", "<difficult>yes<"))
    edited(annotations[3], ("2012_000004.jpg", "2012_000044.jpg"))
    annotations[4].unlink()
    (base / "JPEGImages/2013_000002.jpg").unlink()
    edited(base / "ImageSets/Main/val.txt", ("2013_000003", "2013_000003 1\n2012_000006"))
    outcome = empty.kedro("run", env="voc")
    refused(
        outcome,
        "malformed annotations (2): Annotations/2012_000001.xml: no element found",
        "Annotations/2012_000003.xml: difficult is 'yes', not 0 or 1",
        "unknown categories (1): Annotations/2012_000002.xml: '",
        "x' (did you mean '",
        "annotations of another image (1): Annotations/2012_000004.xml names 2012_000044.jpg",
        "annotations that are absent (1): Annotations/2012_000005.xml (train)",
        "images listed but absent (1): JPEGImages/2013_000002.jpg (val)",
        "malformed lines of lists (1): ImageSets/Main/val.txt, line 3: '2013_000003 1'",
        "images listed more than once (1): VOCdevkit/VOC2012/JPEGImages/2012_000006.jpg in train and val",
        "no class_name n07691650 (crescent roll), n12285512 (red alder)",
    )
    assert not (empty.path / "data/06_models").exists()


def test_all_that_is_wrong_with_coco_is_named_at_once_before_any_training(empty):
    raw = empty.path / "data/01_raw"
    label_trees.coco(raw / "coco", SPLITS)
    label_trees.unseen_classes(raw / "multi_label_ood")
    for path in (raw / "multi_label_ood/n02069412").iterdir():
        path.unlink()
    train, val = (raw / f"coco/annotations/instances_{split}2014.json" for split in ("train", "val"))
    document = json.loads(train.read_text())
    document["images"][1]["id"] = 1
    document["images"][2]["file_name"] = "COCO_train2014_absent.jpg"
    document["annotations"][-1]["category_id"] = 12
    document["annotations"][-2]["image_id"] = "5"
    document["categories"][1]["name"] = document["categories"][0]["name"]
    train.write_text(json.dumps(document))
    val.write_text(val.read_text()[:-1])
    outcome = empty.kedro("run", env="coco")
    refused(
        outcome,
        "annotations/instances_train2014.json: images[1] has the id 1 of another image",
        "images listed but absent (1): train2014/COCO_train2014_absent.jpg",
        "unknown categories (",
        "category 12",
        "has no image_id or category_id",
        "category 2, 'thing 1', is there twice",
        "annotations of images that are not listed (3)",
        "annotations/instances_val2014.json: Expecting",
        "n02069412",
    )
    assert not (empty.path / "data/06_models").exists()
