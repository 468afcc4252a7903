"""Segmentation nodes as functions, on made-up scenes and logits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from scaling_ood.datasets import StoredShards
from scaling_ood.datasets.planned import file_digest
from scaling_ood.detectors import NotApplicableError
from scaling_ood.images.scenes import ANOMALY, VOID, SceneSource, label_map, prepare_scenes, scenes_digest
from scaling_ood.metrics import detection_metrics
from scaling_ood.models.segmentation import upsample
from scaling_ood.parameters import IdentitySpec, ReportingSpec
from scaling_ood.pipelines.metric_reporting.scene_tables import mark_scene_ties, measure_scenes, summarise_scenes
from scaling_ood.pipelines.score_extraction.nodes import WrongModelError
from scaling_ood.pipelines.score_extraction.scene_nodes import build_scene_detector, check_segmentation, scenes
from scaling_ood.records import RESULT_COLUMNS
from scaling_ood.scene_parameters import SceneExtractionSpec, SegmenterSpec
from scaling_ood.scene_preparation import ScenePreparation, scene_outputs_key

HEIGHT, WIDTH = 24, 40
ROLES = {
    "train": ("train/{}/training/t1", 2),
    "validation": ("train/{}/validation/t2", 2),
    "test": ("test/{}/test/t3", 3),
}
SPEC = SegmenterSpec(architecture="pspnet_resnet10", pretrained=False)
IDENTITY = IdentitySpec(setting="segmentation", benchmark="made_up")
REPORTING = ReportingSpec(bootstrap_replicates=50)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """StreetHazards' layout with label ids of chance; the last test scene has no anomaly."""
    root = tmp_path_factory.mktemp("street")
    rng = np.random.default_rng(0)
    for place, count in ROLES.values():
        for number in range(count):
            ids = rng.integers(1, 14, (HEIGHT, WIDTH), dtype=np.uint8)
            if place.startswith("test") and number < count - 1:
                ids[: 2 + number, :5] = 14
            for kind, pixels in (
                ("images", rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)),
                ("annotations", ids),
            ):
                folder = root / place.format(kind)
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{number + 1:03d}.png")
    return root


@pytest.fixture(scope="module")
def manifest(street):
    return prepare_scenes(SceneSource("made_up", street, "streethazards"))[0]


@pytest.fixture(scope="module")
def prepared(street, manifest):
    labels = label_map("streethazards")
    return ScenePreparation(
        benchmark="made_up", data_set="made_up", folder=str(street), layout="streethazards", labels=labels.name,
        classes=labels.classes, subsets=(), images=manifest.groupby("image_set").size().to_dict(),
        digests={str(role): scenes_digest(rows, labels) for role, rows in manifest.groupby("image_set")},
        anomalous_share=0.01, without_anomaly=1, unreadable=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Logits of chance at stride 8, two scenes a shard."""
    folder: Path = tmp_path_factory.mktemp("outputs")
    generator = torch.Generator().manual_seed(1)
    parts = {}
    for name, count in (("validation-00000", 2), ("test-00000", 2), ("test-00001", 1)):
        tensors = {}
        for number in range(count):
            tensors[f"{number:05d}/logits"] = torch.randn(1, 13, HEIGHT // 8, WIDTH // 8, generator=generator)
            tensors[f"{number:05d}/posterior_variance"] = torch.rand(1, HEIGHT // 8, WIDTH // 8, generator=generator)
        save_file(tensors, folder / f"{name}.safetensors")
        parts[name] = {"items": count, "sha256": file_digest(folder / f"{name}.safetensors"), "seconds": 1.0}
    return StoredShards("key", {"device": "cpu"}, parts, folder)


def test_scenes_come_in_the_order_of_the_manifest_with_their_own_labels(outputs, manifest, prepared, street):
    seen = list(scenes(outputs, manifest, prepared, "test"))
    assert [scene.row["id"] for scene in seen] == list(manifest.loc[manifest["image_set"] == "test", "id"])
    for scene in seen:
        raw = np.asarray(Image.open(street / scene.row["label_path"]))
        np.testing.assert_array_equal(scene.train_ids, np.where(raw == 14, ANOMALY, raw - 1))


def by_hand(outputs, manifest, prepared, score_of):
    """Scores and masks of every test scene, from the stored logits up-sampled to the labels."""
    for scene in scenes(outputs, manifest, prepared, "test"):
        yield score_of(scene, scene.train_ids.shape), scene.train_ids == ANOMALY, scene.train_ids != VOID


SCORES = {
    "max_logit": lambda scene, size: -upsample(scene.outputs.logits, size).amax(dim=1)[0].numpy(),
    "msp": lambda scene, size: -upsample(scene.outputs.logits, size).double().softmax(dim=1).amax(dim=1)[0].numpy(),
    "background": lambda scene, size: upsample(scene.outputs.logits, size).double().softmax(dim=1)[0, 0].numpy(),
    "mc_dropout": lambda scene, size: upsample(scene.outputs.posterior_variance[:, None], size)[0, 0].numpy(),
}


@pytest.mark.parametrize("name", SCORES)
def test_metrics_are_those_of_the_upsampled_outputs(outputs, manifest, prepared, name):
    metrics, per_scene = measure_scenes(
        build_scene_detector(name, {}, prepared), outputs, manifest, prepared, REPORTING
    )
    frames = list(by_hand(outputs, manifest, prepared, SCORES[name]))
    expected = [detection_metrics(score[valid], is_ood[valid]) for score, is_ood, valid in frames if is_ood.any()]
    rows = metrics.set_index("aggregation")
    assert len(per_scene) == len(expected) == 2
    assert rows.loc["per_image", "skipped"] == 1
    np.testing.assert_allclose(
        rows.loc["per_image", ["auroc", "aupr", "fpr95"]].astype(float), np.mean(expected, axis=0), atol=1e-6
    )
    pooled = detection_metrics(*(np.concatenate([frame[part].ravel() for frame in frames]) for part in (0, 1)))
    np.testing.assert_allclose(rows.loc["pooled", ["auroc", "aupr", "fpr95"]].astype(float), pooled, atol=1e-6)
    assert rows.loc["pooled", "n_out"] == sum(int(is_ood.sum()) for _, is_ood, _ in frames)


def test_the_mean_row_repeats_all_test_scenes(outputs, manifest, prepared):
    metrics, _ = measure_scenes(build_scene_detector("msp", {}, prepared), outputs, manifest, prepared, REPORTING)
    rows = summarise_scenes(metrics, "msp", "", prepared, SPEC, REPORTING, IDENTITY)
    assert list(rows["ood_set"]) == ["test", "test", "mean", "mean"]
    assert rows.loc[rows["ood_set"] == "mean", "mean_of"].unique().tolist() == ["test"]
    by_set = rows.set_index(["ood_set", "aggregation"])["auroc"]
    assert by_set["mean", "pooled"] == by_set["test", "pooled"]


def test_a_gap_has_its_rows_and_no_number(prepared):
    rows = summarise_scenes(pd.DataFrame(), "kl_matching", "not applicable: why", prepared, SPEC, REPORTING, IDENTITY)
    assert len(rows) == 4
    assert rows["auroc"].isna().all()
    assert set(rows["gap"]) == {"not applicable: why"}


def test_methods_without_meaning_for_pixels_are_named_gaps(prepared):
    with pytest.raises(NotApplicableError, match="whole images"):
        build_scene_detector("kl_matching", {}, prepared)
    with pytest.raises(NotApplicableError, match="no background class"):
        build_scene_detector("background", {}, prepared.model_copy(update={"classes": ("road", "car")}))


def test_a_detector_is_tied_with_the_best_only_if_scenes_disagree(manifest, prepared):
    ids = list(manifest.loc[manifest["image_set"] == "test", "id"])
    good = pd.DataFrame({"id": ids, "fpr95": [0.1, 0.2, 0.1], "auroc": [0.9, 0.8, 0.9], "aupr": [0.5, 0.4, 0.5]})
    worse = good.assign(auroc=good["auroc"] - 0.1, fpr95=good["fpr95"] + 0.1, aupr=good["aupr"] - 0.1)
    mixed = good.assign(auroc=[0.95, 0.7, 0.9])
    results = pd.DataFrame(
        [(name, "test", "per_image") for name in ("good", "worse", "mixed")],
        columns=["detector", "ood_set", "aggregation"],
    )
    results = results.reindex(columns=list(RESULT_COLUMNS))
    marked = mark_scene_ties(results, {"good": good, "worse": worse, "mixed": mixed}, manifest, prepared, REPORTING)
    assert marked["auroc_tied"].tolist() == [True, False, True]
    assert marked["fpr95_tied"].tolist() == [True, False, True]


def test_a_wrong_segmenter_is_refused(outputs, manifest, prepared):
    with pytest.raises(WrongModelError, match="least_miou"):
        check_segmentation(
            outputs, manifest, prepared.model_dump(mode="json"), SPEC.model_copy(update={"least_miou": 0.9}), IDENTITY
        )


def test_dropout_passes_count_in_the_key_only_where_they_are_made(prepared):
    few, many = SceneExtractionSpec(dropout_passes=3), SceneExtractionSpec(dropout_passes=9)
    without = [scene_outputs_key(prepared, SPEC, one, ["logits"]) for one in (few, many)]
    fields = ["logits", "posterior_variance"]
    made = [scene_outputs_key(prepared, SPEC, one, fields) for one in (few, many)]
    assert without[0] == without[1]
    assert made[0] != made[1]
