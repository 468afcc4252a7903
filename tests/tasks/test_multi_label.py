"""What is special about several classes per image."""

import json
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bench import bench, only, variant
from helpers.toys import SPLITS, UNLABELLED, grainy
from PIL import Image
from scipy.special import expit
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score
from toy_networks import build_toy

from scaling_ood.images.manifest import PartitionError
from scaling_ood.images.multi_label import targets
from scaling_ood.models import MultiLabelHead, build_head
from scaling_ood.tasks import WrongNetworkError, multi_label, whole_images
from scaling_ood.tasks.reading import UnfitFoldersError
from scaling_ood.training.multilabel import MultiLabelRecipe

SEEDS = (0, 1)
LEAN = {"detectors": only("max_logit")}


@pytest.fixture
def own(benches):
    return benches("multi_label")


# Data


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


def test_targets_are_those_of_an_independent_count_and_classes_come_by_their_ids(own):
    rows, classes = own.manifest.rows, own.manifest.preparation.classes
    assert classes == own.manifest.preparation.of_classes.titles == ("bee", "ant", "cow")
    for split in SPLITS:
        mine = rows[(rows["data_set"] == "coco") & (rows["split"] == split.removesuffix("2017"))]
        assert names_of(mine, classes) == names_in(own.photographs / "coco", split)
    empty = rows[rows["labels"] == ""]
    # 0, 8, 16 of train and 0, 8, 16, 24 of val; 8 has a crowd, which counts. They are not unlabelled.
    assert sorted(Path(path).name for path in empty["path"]) == ["000.png", "000.png", "016.png", "016.png", "024.png"]
    unseen = rows[rows["image_set"].isin(["wild", "static"])]
    assert unseen["labels"].isna().all()
    assert set(unseen["label"]) == {-1}


def test_crowds_count_unless_they_are_ignored(own, tmp_path):
    for hard, expected in (("counted", "0"), ("ignored", "")):
        changes = LEAN | {"data__labelled__hard_objects": hard}
        rows = bench("multi_label", tmp_path / hard, own.photographs, **changes).manifest.rows
        assert rows.set_index("id").loc["coco/train2017/008.png", "labels"] == expected


def test_another_label_changes_the_digest_of_its_set_alone(own, tmp_path):
    made = bench("multi_label", tmp_path, **LEAN)
    path = made.photographs / "coco/annotations/instances_train2017.json"
    document = json.loads(path.read_text())
    box = document["annotations"][0]
    box["category_id"] = 3 if box["category_id"] != 3 else 7
    path.write_text(json.dumps(document))
    digests, before = made.manifest.preparation.digests, own.manifest.preparation.digests
    assert {name for name in digests if digests[name] != before[name]} == {"train"}


def test_a_role_without_images_left_is_an_error(own, tmp_path):
    with pytest.raises(PartitionError, match="test: nothing is left in split val"):
        bench("multi_label", tmp_path, own.photographs, data__fit={"split": "val"}, **LEAN).load("manifest")


def test_annotations_of_vocs_test_split_are_left_alone_where_they_are_not_meant_for_it(tmp_path):
    shown = {"train": ["cat bird", ""], "val": ["cow"], "test": ["bird", None]}
    voc = tmp_path / "voc/VOCdevkit/VOC2012"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / folder).mkdir(parents=True)
    for split, images in shown.items():
        (voc / f"ImageSets/Main/{split}.txt").write_text("".join(f"{split}{n}\n" for n in range(len(images))))
        for number, names in enumerate(images):
            grainy(voc / f"JPEGImages/{split}{number}.jpg", (90, 90, 90), [len(split), ord(split[1]), number])
            if names is not None:
                objects = "".join(f"<object><name>{name}</name></object>" for name in names.split())
                (voc / f"Annotations/{split}{number}.xml").write_text(f"<annotation>{objects}</annotation>")
    labelled = {"layout": "voc", "folder": "voc", "year": 2012, "unlabelled": ["test"]}
    parts = {"train": {"split": "train"}, "fit": {"split": "val"}, "test": {"split": "test"}}
    data = {"in_dist": "voc_2012", "labelled": labelled, "ood": ["static"], **parts}
    manifest = bench("multi_label", tmp_path, tmp_path, data=data, **LEAN).manifest
    assert manifest.of("test")["labels"].isna().all()
    names = names_of(manifest.rows[manifest.rows["image_set"].isin(["train", "fit"])], manifest.preparation.classes)
    assert names == {"train0.jpg": {"cat", "bird"}, "train1.jpg": set(), "val0.jpg": {"cow"}}


def test_all_that_is_wrong_with_the_annotations_is_told_at_once(tmp_path):
    made = bench("multi_label", tmp_path, **LEAN)
    annotations = made.photographs / "coco/annotations"
    document = json.loads((annotations / "instances_val2017.json").read_text())
    document["annotations"][0]["category_id"] = 91
    (annotations / "instances_val2017.json").write_text(json.dumps(document))
    (made.photographs / "coco/val2017/004.png").unlink()
    (annotations / "instances_train2017.json").write_text('{"images": [')
    with pytest.raises(UnfitFoldersError) as caught:
        made.load("manifest")
    message = str(caught.value)
    assert "unknown categories (1): annotations/instances_val2017.json: annotations[0]: category 91" in message
    assert "images listed but absent (1): val2017/004.png" in message
    assert "malformed annotations (1): annotations/instances_train2017.json" in message


def test_classes_of_the_papers_table_without_a_folder_are_named_with_their_titles(own, tmp_path):
    table = {"data_sets__wild__classes": {"table": "multi_label_ood"}, "data_sets__wild__titles": "multi_label_ood"}
    with pytest.raises(UnfitFoldersError) as caught:
        bench("multi_label", tmp_path, own.photographs, **LEAN, **table).load("manifest")
    assert "n02431122 (" in str(caught.value)
    assert "n02508213" not in str(caught.value).splitlines()[0]


# Networks


def features_of(own, image_set):
    """The published backbone's, of the central 8 x 8 pixels of 10 x 12, mean = std = 0.5."""
    backbone, found = build_toy(True)[0].eval(), []
    for file in own.manifest.files(own.manifest.of(image_set)):
        with Image.open(file.path) as image:
            pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
        found.append(backbone(torch.from_numpy((pixels - 0.5) / 0.5)[None]).detach())
    return torch.cat(found)


def head_of(own, seed):
    head = build_head("toy", partial(MultiLabelHead, classes=3, width=16), seed=0)
    head.load_state_dict(own.model().states()[f"seed{seed}"])
    return head.eval().requires_grad_(False)


def test_features_are_the_published_backbones_of_the_images_to_learn_and_to_choose_on(own):
    features = own.load("classifier.features")
    for image_set in ("train", "fit"):
        found = whole_images.stored_features(features, image_set)
        torch.testing.assert_close(found, features_of(own, image_set), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_head_that_is_kept_has_the_highest_map_of_the_fit_images(own, seed):
    present = targets(own.manifest.of("fit"), own.manifest.preparation.classes)
    logits = head_of(own, seed)(whole_images.stored_features(own.load("classifier.features"), "fit"))["logits"]
    reached = [row["validation_map"] for row in own.model().history if row["variant"] == f"seed{seed}"]
    assert max(reached) == pytest.approx(average_precision_score(present, logits.numpy(), average="macro"), abs=1e-6)


def test_heads_learn_the_colours(own, tmp_path):
    long = {"networks__classifier__epochs": 60, "networks__classifier__learning_rate": 0.03}
    history = variant(own, tmp_path, **LEAN, **long).run("classifier.model").model().history
    assert max(row["validation_map"] for row in history) > 0.9


def test_whole_networks_start_from_the_published_weights_and_keep_their_batch_norms(own, tmp_path):
    changes = {"weights": "fine_tuned", "seeds": [0], "epochs": 2, "backbone_learning_rate": 0.01}
    changes = {f"networks__classifier__{name}": value for name, value in changes.items()}
    made = bench("multi_label", tmp_path, own.photographs, **LEAN, **changes)
    state, published = made.model().states()["seed0"], build_toy(True)[0].state_dict()
    moved = {name for name in published if not torch.equal(state[f"backbone.{name}"], published[name])}
    assert moved == {"0.weight", "0.bias"}
    # 20 images in steps of 6 make 3 steps of at most 0.01 an epoch: nothing was drawn anew.
    torch.testing.assert_close(state["backbone.0.weight"], published["0.weight"], atol=0.07, rtol=0)
    assert made.load("max_logit.scores").frame["score"].notna().all()


def test_every_option_of_the_recipe_reaches_the_training(own, tmp_path, monkeypatch):
    given = {
        "epochs": 7,
        "batch_images": 5,
        "learning_rate": 0.2,
        "backbone_learning_rate": 0.3,
        "averaging": "trapezoid",
        "precision": "bf16",
        "best_epoch": "last",
    }
    made = variant(own, tmp_path, **LEAN, **{f"networks__classifier__{name}": value for name, value in given.items()})
    seen, right = [], multi_label.MultiLabel
    monkeypatch.setattr(
        multi_label, "MultiLabel", lambda sets, recipe, device: seen.append(recipe) or right(sets, recipe, device)
    )
    next(iter(made.made("classifier.model").run(None)))
    assert seen == [MultiLabelRecipe(**given)]


# Outputs


@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_are_those_of_backbone_and_head_on_the_image_of_the_same_row(own, seed):
    expected = head_of(own, seed)(features_of(own, "test"))
    for field in ("features", "logits"):
        torch.testing.assert_close(own.output("test", field, seed=seed), expected[field], rtol=1e-3, atol=1e-4)


def test_the_variance_under_dropout_is_that_of_a_loop_over_the_masks(own):
    head, hidden = head_of(own, 1), own.output("wild", "features", seed=1)
    generator, posteriors = torch.Generator().manual_seed(3), []
    for _ in range(4):
        mask = (torch.rand(16, generator=generator) < 0.5).float() * 2
        logits = (hidden * mask) @ head.output.weight.T + head.output.bias
        posteriors.append(expit(logits.double().numpy()))
    assert not np.allclose(posteriors[0], posteriors[1])
    expected = np.var(posteriors, axis=0).mean(axis=1)
    frame = own.load("mc_dropout.scores").frame
    found = frame.loc[(frame["seed"] == 1) & (frame["image_set"] == "wild"), "score"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_novelty_is_fitted_on_the_fit_images_alone(own):
    frame = own.load("isolation_forest.scores").frame
    for seed in SEEDS:
        forest = IsolationForest(n_estimators=10, random_state=0).fit(own.output("fit", "features", seed=seed).numpy())
        expected = -forest.score_samples(own.output("wild", "features", seed=seed).numpy())
        mine = frame[(frame["seed"] == seed) & (frame["image_set"] == "wild")]
        np.testing.assert_allclose(mine["score"], expected, rtol=1e-5)


# Quality


def average_precisions(own, image_set, rows=slice(None), labels=None):
    """Mean over the classes, of each seed, by scikit-learn."""
    chosen = own.manifest.of(image_set) if labels is None else labels
    present = targets(chosen.iloc[rows], own.manifest.preparation.classes)
    logits = [own.output(image_set, seed=seed).numpy()[rows] for seed in SEEDS]
    return [average_precision_score(present, each, average="macro") for each in logits]


def judged(own, manifest=None, **changes):
    network = own.spec.networks["classifier"].model_copy(update=changes)
    return own.task.check(network, own.outputs(), manifest or own.manifest)


def test_the_map_is_scikit_learns_on_fit_and_test_images(own):
    quality = judged(own)
    for image_set in ("fit", "test"):
        expected = np.mean(average_precisions(own, image_set))
        assert quality.by_set[image_set]["map"] == pytest.approx(expected, abs=1e-9)
    assert (quality.measure, quality.value) == ("map", quality.by_set["test"]["map"])
    assert quality.images == {"fit": 12, "test": 13}


def test_the_trapezoid_rule_is_the_area_under_the_lines(own):
    present, areas = targets(own.manifest.of("test"), own.manifest.preparation.classes).astype(bool), []
    for seed in SEEDS:
        for shown, score in zip(present.T, own.output("test", seed=seed).numpy().T, strict=True):
            hits = np.cumsum(shown[np.argsort(-score, kind="stable")])
            precision, recall = hits / np.arange(1, len(hits) + 1), hits / hits[-1]
            areas.append(np.trapezoid([1.0, *precision], [0.0, *recall]))
    assert judged(own, averaging="trapezoid").value == pytest.approx(np.mean(areas), abs=1e-6)


def relabelled(own, change):
    """The manifest after `change(rows, index of the test images)`."""
    rows = own.manifest.rows.copy()
    change(rows, rows.index[rows["image_set"] == "test"])
    return type(own.manifest)(rows, own.manifest.preparation, own.manifest.roots)


def test_unlabelled_test_images_are_left_out_of_the_map(own):
    def without(count):
        def change(rows, test):
            rows.loc[test[:count], "labels"] = None

        return relabelled(own, change)

    quality = judged(own, without(4))
    assert quality.images == {"fit": 12, "test": 9}
    assert quality.value == pytest.approx(np.mean(average_precisions(own, "test", slice(4, None))), abs=1e-9)
    quality = judged(own, without(None))
    assert (quality.value, list(quality.by_set)) == (judged(own).by_set["fit"]["map"], ["fit"])


def test_a_challenge_without_public_labels_is_scored_and_its_map_is_that_of_the_fit_images(own, tmp_path):
    parts = {"data__fit": {"split": "val"}, "data__test": {"split": "test"}}
    made = bench("multi_label", tmp_path, own.photographs, **LEAN, **parts)
    test = made.manifest.of("test")
    assert len(test) == UNLABELLED
    assert test["labels"].isna().all()
    assert made.load("classifier.quality").images == {"fit": 25}
    frame = made.load("max_logit.scores").frame
    assert frame.groupby("image_set").size().to_dict() == {"test": 12, "wild": 16, "static": 12}


def test_a_network_below_the_least_map_of_any_seed_is_refused_with_both_numbers(own):
    worst = min(average_precisions(own, "test"))
    judged(own, least_quality=worst - 1e-6)
    told = rf"^multi_label: mAP {worst:.1%} on .* is under the {worst + 0.001:.1%}"
    with pytest.raises(WrongNetworkError, match=told):
        judged(own, least_quality=worst + 0.001)


def test_test_labels_that_contradict_the_fit_images_are_told_with_both_numbers(own, tmp_path, caplog):
    long = {"networks__classifier__epochs": 60, "networks__classifier__learning_rate": 0.03}
    good = variant(own, tmp_path, **LEAN, **long).run("classifier.quality")
    assert good.load("classifier.quality").warning == ""
    best = np.mean([good.output("test", seed=seed).numpy() for seed in SEEDS], axis=0)

    def least(rows, test):
        """Each class is said to be only in the image that the networks find it least in."""
        rows.loc[test, "labels"] = ""
        for index in range(best.shape[1]):
            rows.loc[test[best[:, index].argmin()], "labels"] = str(index)

    quality = judged(good, relabelled(good, least))
    shares = [quality.by_set[name]["map"] for name in ("test", "fit")]
    assert f"mAP {shares[0]:.1%} on test, {shares[1]:.1%} on the fit images" in quality.warning
    assert quality.warning in caplog.text
