"""Wrong input: one clear message that names the thing and the remedy, and no traceback; every remedy works."""

import json
import os
import re
import shlex
import shutil
import signal

import click
import label_trees
import numpy as np
import pandas as pd
import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro_project import DETECTORS, SETTINGS, Project, as_if_alone
from PIL import Image
from safetensors.numpy import load_file, save_file

from scaling_ood.products.kept_files import content_sum

pytestmark = pytest.mark.slow


@pytest.fixture
def empty(tmp_path):
    return Project.copy(tmp_path / "project")


def test_unknown_detector_and_misspelt_options_are_named_at_once(empty):
    wrong = {"detectors.max_logits": "{}", "detectors.energy.temprature": "2", "networks.classifier.epoch": "3"}
    outcome = empty.kedro("run", "--params", ",".join(f"multi_class.{name}={value}" for name, value in wrong.items()))
    outcome.refused("max_logits", "did you mean 'max_logit'", "nothing was run")
    outcome.refused("temprature", "did you mean 'temperature'", "networks.classifier.epoch", "did you mean 'epochs'")
    assert not empty.tracked()


def remedies(outcome):
    """The commands that a message names, as arguments of `kedro`."""
    commands = re.findall(r"kedro run --.*", outcome.output)
    assert commands, outcome.output
    return [shlex.split(command)[1:] for command in dict.fromkeys(commands)]


PARTIAL = ("run", "--pipelines", "metric_reporting", "--namespaces", "multi_class.msp")


def test_a_stale_input_ends_the_run_before_any_node_and_its_remedy_works(project):
    given = ("--params", "multi_class.networks.classifier.epochs=3,runtime.batch_images=8")
    rows = project.product("08_reporting/*/measured/msp/results.parquet")
    before = rows.stat().st_mtime_ns
    outcome = project.kedro(*PARTIAL, *given)
    outcome.refused("Some inputs are stale", "multi_class.networks.classifier.epochs was 4, is 3")
    assert rows.stat().st_mtime_ns == before
    assert not project.tracked()
    (remedy,) = remedies(outcome)
    assert "--env test" in " ".join(remedy)
    assert project.kedro(*remedy, env=None).code == 0
    assert project.kedro(*PARTIAL, *given).code == 0
    assert rows.stat().st_mtime_ns != before
    # The other detectors are what they were, and so are told to be stale now.
    whole = project.kedro("run", "--pipelines", "metric_reporting", "--namespaces", "multi_class", *given)
    (remedy,) = remedies(whole)
    stale = remedy[remedy.index("--to-outputs") + 1].split(",")
    others = [f"{name}.scores" for name in DETECTORS["multi_class"] if name != "msp"]
    assert sorted(stale) == sorted(f"multi_class.{name}" for name in [*others, "families.outputs", "trainings"])


def test_a_missing_input_ends_the_run_before_any_node_and_its_remedy_works(project):
    for path in project.product("07_model_output/*/scores/msp").iterdir():
        path.unlink()
    outcome = project.kedro(*PARTIAL)
    outcome.refused("Some inputs are missing", "multi_class.msp.scores")
    assert not project.tracked()
    (remedy,) = remedies(outcome)
    assert project.kedro(*remedy, env=None).code == 0
    assert project.kedro(*PARTIAL).code == 0


def test_what_is_damaged_is_named_and_made_again_by_the_command_that_the_message_names(project):
    before = project.results()
    shard = sorted(project.product("07_model_output/*/classifier/outputs").glob("test-*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    shutil.rmtree(project.product("07_model_output/*/scores/msp"))  # what is there is not made of it again
    outcome = project.kedro("run", "--namespaces", "multi_class.msp")
    outcome.refused(f"{shard} is damaged")
    (remedy,) = remedies(outcome)
    assert project.kedro(*remedy, env=None).code == 0
    pd.testing.assert_frame_equal(project.results(), before)


def test_a_changed_image_is_named_and_prepared_anew_by_the_command_that_the_message_names(project):
    image = sorted((project.path / "data/01_raw/test/multi_class/in_dist/val").rglob("*.jpg"))[0]
    Image.new("RGB", Image.open(image).size, "red").save(image)
    shutil.rmtree(project.product("07_model_output/*/classifier/outputs"))
    outcome = project.kedro("run", "--pipelines", "score_extraction", "--namespaces", "multi_class.classifier")
    outcome.refused(f"{image} has other content than when the data was prepared")
    (remedy,) = remedies(outcome)
    assert project.kedro(*remedy, env=None).code == 0
    assert project.kedro("run", "--pipelines", "score_extraction", "--namespaces", "multi_class.classifier").code == 0


def test_a_second_run_at_once_is_refused_and_names_the_first(project):
    running = project.product("02_manifests/*/.running", "multi_label")
    running.unlink()
    first = project.start("run", "--pipelines", "score_extraction", "--namespaces", "multi_label")
    project.wait_for(str(running.relative_to(project.path)), first)
    os.kill(first.pid, signal.SIGSTOP)
    project.kedro("run", "--namespaces", "multi_label").refused(f"process {first.pid} on ", "wait until it is done")
    os.kill(first.pid, signal.SIGCONT)
    first.join()
    assert first.exitcode == 0


def test_sessions_of_different_environments_in_one_process_have_their_own_detectors(empty):
    own = {
        "test": {f"{setting}.{name}" for setting in SETTINGS for name in DETECTORS[setting]},
        "samples": {f"{setting}.{name}" for setting in SETTINGS for name in DETECTORS[setting]}
        - {f"multi_class.{name}" for name in ("mc_dropout", "grouped_msp", "families_msp", "families_max_logit")},
    }
    with as_if_alone(empty.path):
        bootstrap_project(empty.path)
        sessions = {env: KedroSession.create(empty.path, env=env) for env in own}
        for env in ("test", "samples", "test"):
            catalog = sessions[env].load_context().catalog
            nodes = pipelines["__default__"].nodes
            assert {node.namespace for node in nodes if node.name.endswith(".score_images")} == own[env]
            assert all(f"params:{name.replace('.', '.detectors.')}" in catalog for name in own[env])
        for env, session in sessions.items():
            with pytest.raises(click.ClickException) as refused:
                session.run(pipeline_names=["metric_reporting"])
            assert set(re.findall(r"- (\w+\.\w+)\.scores ", str(refused.value))) == own[env]


def test_missing_photographs_are_named_before_any_run(empty):
    empty.kedro("run", "--params", "data_root=nowhere", env="samples").refused(
        "multi_class tiny_imagenet_objects",
        "multi_label coco128",
        "nowhere/coco128, for multi_label coco128",
        "nowhere/raccoon, for multi_class raccoon, multi_label raccoon",
        "camvid",
        "nowhere/tiny-imagenet-200",
        "make samples",
        "--params data_root=DIR",
    )


PREPARE = ("run", "--pipelines", "data_preparation", "--namespaces", "multi_class")


def kept_as_they_are(project, images):
    """Let the records vouch for changed images, which would be rendered again otherwise."""
    raw = project.path / "data/01_raw/test/multi_class"
    for folder in {image.parent for image in images}:
        record = raw / ".parts" / f"{folder.relative_to(raw)}.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": content_sum(folder)}))


def test_too_many_corrupt_images_are_named(project):
    images = sorted((project.path / "data/01_raw/test/multi_class/in_dist/val").rglob("*.jpg"))
    for path in images[:10]:
        path.write_bytes(path.read_bytes()[:200])
    kept_as_they_are(project, images[:10])
    project.kedro(*PREPARE).refused(
        "10 of",
        images[0].name,
        "data.most_unreadable",
    )


def test_a_few_corrupt_images_are_quarantined_and_listed(project):
    image = sorted((project.path / "data/01_raw/test/multi_class/in_dist/val").rglob("*.jpg"))[0]
    image.write_bytes(b"no image")
    kept_as_they_are(project, [image])
    project.run(*PREPARE[1:])
    listed = pd.read_csv(project.product("02_manifests/*/quarantine.csv"))
    assert [path.rsplit("/", 1)[-1] for path in listed["path"]] == [image.name]


@pytest.mark.parametrize(
    ("setting", "network", "measure"),
    [
        ("multi_class", "classifier", "top-1 accuracy"),
        ("multi_label", "classifier", "mAP"),
        ("segmentation", "segmenter", "mIoU"),
    ],
)
def test_a_network_that_is_worse_than_known_is_refused(project, setting, network, measure):
    least = f"{setting}.networks.{network}.least_quality=0.999"
    chosen = ("--pipelines", "score_extraction", "--namespaces", f"{setting}.{network}")
    project.kedro("run", *chosen, "--params", least).refused(measure, "99.9%", "least_quality", "preprocessing")


def test_a_nan_score_names_detector_image_and_count(project):
    outputs = project.product("07_model_output/*/classifier/outputs")
    shard = outputs / "montana-00000.safetensors"
    tensors = load_file(shard)
    tensors["seed0/logits"][3] = np.nan
    save_file(tensors, shard)
    record = outputs / ".parts" / "montana-00000.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": content_sum(shard)}))
    shutil.rmtree(project.product("07_model_output/*/scores/max_logit"))
    project.kedro("run", "--pipelines", "score_extraction", "--namespaces", "multi_class.max_logit").refused(
        "max_logit",
        "montana",
        "1 of",
        ".jpg",
    )


def test_an_ood_set_without_images_is_named(project):
    images = sorted((project.path / "data/01_raw/test/multi_class/ood/montana").rglob("*.jpg"))
    for path in images:
        path.unlink()
    kept_as_they_are(project, images)
    project.kedro(*PREPARE).refused("montana", "no image")


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
    outcome.refused(
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
    outcome.refused(
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
