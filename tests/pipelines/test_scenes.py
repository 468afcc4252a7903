"""Segmentation nodes as functions, on made-up scenes and logits."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scaling_ood.datasets.kept_files import content_sum
from scaling_ood.networks import AUTOENCODER, CONFIDENCE, SHARED
from scaling_ood.pipelines.metric_reporting.scene_maps import EXAMPLES, chosen_scenes, plan_score_maps, scene_examples
from scaling_ood.pipelines.metric_reporting.scene_tables import (
    mark_scene_ties,
    measure_scenes,
    score_pixels,
    summarise_scenes,
)
from scaling_ood.pipelines.model_training.scene_nodes import train_confidence_branch, train_segmenter
from scaling_ood.pipelines.scene_extraction import SceneExtraction, stored_scenes
from scaling_ood.pipelines.score_extraction.scene_nodes import build_scene_detector, check_network, check_segmentation
from scaling_ood.plans import Plan, digest
from scaling_ood.records import RESULT_COLUMNS
from scaling_ood.scene_preparation import ScenePreparation, network_key, scene_outputs_key, scene_preprocessing

from scaling_ood.datasets import ShardsDataset, StoredModel, StoredShards
from scaling_ood.detectors import NotApplicableError
from scaling_ood.images.scenes import ANOMALY, VOID, SceneSource, label_map, prepare_scenes, scenes_digest
from scaling_ood.metrics import detection_metrics
from scaling_ood.models import Forward, NetworkOutputError
from scaling_ood.models.segmentation import upsample
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.segmentation import NetworksSpec, SceneExtractionSpec, SceneReportingSpec, SegmenterSpec
from scaling_ood.pipelines.score_extraction.nodes import WrongModelError

HEIGHT, WIDTH = 24, 40
ROLES = {
    "train": ("train/{}/training/t1", 2),
    "validation": ("train/{}/validation/t2", 2),
    "test": ("test/{}/test/t3", 3),
}
SPEC = SegmenterSpec(architecture="pspnet_resnet10", pretrained=False)
IDENTITY = IdentitySpec(setting="segmentation", benchmark="made_up")
REPORTING = SceneReportingSpec()
NETWORKS = NetworksSpec()


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


def stored(folder, fields, seeds=(0,), scales=1):
    """Outputs of chance, two scenes a shard: field to channels; scale s has s + 1 times the sides of the first."""
    generator = torch.Generator().manual_seed(1)
    parts = {}
    for name, count in (("validation-00000", 2), ("test-00000", 2), ("test-00001", 1)):
        tensors = {}
        for number, seed, scale in itertools.product(range(count), seeds, range(scales)):
            for field, channels in fields.items():
                shape = (1, *channels, HEIGHT // 8 * (scale + 1), WIDTH // 8 * (scale + 1))
                tensors[f"{number:05d}/seed{seed}/{field}/{scale}"] = torch.rand(*shape, generator=generator) * 5
        save_file(tensors, folder / f"{name}.safetensors")
        parts[name] = {"items": count, "sha256": content_sum(folder / f"{name}.safetensors"), "seconds": 1.0}
    return StoredShards("key", {"device": "cpu"}, parts, folder)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    fields = {"logits": (13,), "posterior_variance": (), "confidence": (), "reconstruction_error": ()}
    return stored(tmp_path_factory.mktemp("outputs"), fields)


def test_scenes_come_in_the_order_of_the_manifest_with_their_own_labels(outputs, manifest, prepared, street):
    seen = list(stored_scenes(outputs, manifest, prepared, "test"))
    assert [scene.row["id"] for scene in seen] == list(manifest.loc[manifest["image_set"] == "test", "id"])
    for scene in seen:
        raw = np.asarray(Image.open(street / scene.row["label_path"]))
        np.testing.assert_array_equal(scene.train_ids, np.where(raw == 14, ANOMALY, raw - 1))


def by_hand(outputs, manifest, prepared, score_of):
    """Scores and masks of every test scene, from the stored logits up-sampled to the labels."""
    for scene in stored_scenes(outputs, manifest, prepared, "test"):
        yield score_of(scene.stored, scene.train_ids.shape), scene.train_ids == ANOMALY, scene.train_ids != VOID


def logits_of(maps, size):
    return upsample(maps["seed0/logits/0"], size)


def flat(field):
    return lambda maps, size: upsample(maps[f"seed0/{field}/0"][:, None], size)[0, 0].numpy()


SCORES = {
    "max_logit": lambda maps, size: -logits_of(maps, size).amax(dim=1)[0].numpy(),
    "msp": lambda maps, size: -logits_of(maps, size).double().softmax(dim=1).amax(dim=1)[0].numpy(),
    "background": lambda maps, size: logits_of(maps, size).double().softmax(dim=1)[0, 0].numpy(),
    "mc_dropout": flat("posterior_variance"),
    "confidence_branch": lambda maps, size: -flat("confidence")(maps, size),
    "autoencoder": flat("reconstruction_error"),
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
    good = pd.DataFrame(
        {"seed": 0, "id": ids, "fpr95": [0.1, 0.2, 0.1], "auroc": [0.9, 0.8, 0.9], "aupr": [0.5, 0.4, 0.5]}
    )
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


def test_a_single_scene_is_no_comparison(manifest, prepared):
    ids = list(manifest.loc[manifest["image_set"] == "test", "id"])[:1]
    good = pd.DataFrame({"seed": 0, "id": ids, "fpr95": [0.1], "auroc": [0.9], "aupr": [0.5]})
    results = pd.DataFrame({"detector": ["good", "bad"], "ood_set": "test", "aggregation": "per_image"})
    results = results.reindex(columns=list(RESULT_COLUMNS))
    tables = {"good": good, "bad": good.assign(auroc=0.4, fpr95=0.9, aupr=0.1)}
    marked = mark_scene_ties(results, tables, manifest, prepared, REPORTING)
    assert marked[["fpr95_tied", "auroc_tied", "aupr_tied"]].isna().all(axis=None)


def test_a_wrong_segmenter_is_refused(outputs, manifest, prepared):
    with pytest.raises(WrongModelError, match="least_miou"):
        check_segmentation(
            outputs, manifest, prepared.model_dump(mode="json"), SPEC.model_copy(update={"least_miou": 0.9}), IDENTITY
        )


def key(prepared, extraction, fields, kind=SHARED, spec=SPEC, networks=NETWORKS):
    return scene_outputs_key(prepared, spec, extraction, networks, fields, kind)


def test_dropout_passes_count_in_the_key_only_where_they_are_made(prepared):
    few, many = SceneExtractionSpec(dropout_passes=3), SceneExtractionSpec(dropout_passes=9)
    assert key(prepared, few, ["logits"]) == key(prepared, many, ["logits"])
    fields = ["logits", "posterior_variance"]
    assert key(prepared, few, fields) != key(prepared, many, fields)


def test_options_of_one_network_leave_the_others_alone(prepared):
    changed = NetworksSpec.model_validate({"confidence_branch": {"budget": 0.5}})
    same = {kind: network_key(prepared, SPEC, NETWORKS, kind) for kind in (SHARED, CONFIDENCE, AUTOENCODER)}
    other = {kind: network_key(prepared, SPEC, changed, kind) for kind in same}
    assert len(set(same.values())) == 3
    assert [kind for kind in same if same[kind] != other[kind]] == [CONFIDENCE]


def test_dense_labels_are_another_training_and_the_usual_ones_are_in_no_key(prepared):
    dense, usual = (SPEC.model_copy(update={"label_stride": stride}) for stride in (1, 8))
    kinds = (SHARED, CONFIDENCE, AUTOENCODER)
    keys = [[network_key(prepared, spec, NETWORKS, kind) for kind in kinds] for spec in (SPEC, usual, dense)]
    assert keys[0] == keys[1]
    assert [kind for kind, ours, theirs in zip(kinds, keys[0], keys[2], strict=True) if ours != theirs] == [
        SHARED,
        CONFIDENCE,
    ]
    later = {"label_stride", "images_per_scale", "best_epoch"}
    before = SPEC.model_dump(mode="json", exclude={"least_miou", "training", "classes", *later})
    roles = {role: prepared.digests[role] for role in ("train", "validation")}
    assert keys[0][0] == digest(before, "", scene_preprocessing(SPEC), roles, prepared.classes)


def test_segmenter_and_confidence_branch_learn_from_as_many_labels_as_are_asked_for(manifest, prepared):
    losses = {}
    for stride in (8, 1):
        spec = SPEC.model_copy(update={"width": 8, "epochs": 1, "batch_images": 2, "label_stride": stride})
        record, runtime = prepared.model_dump(mode="json"), RuntimeSpec(device="cpu", workers=0)
        plans = (
            train_segmenter(manifest, record, spec, runtime),
            train_confidence_branch(manifest, record, spec, NETWORKS, runtime),
        )
        losses[stride] = [next(iter(plan.run(None)))["history"][0]["train_loss"] for plan in plans]
        assert [plan.about["label_stride"] for plan in plans] == [stride, stride]
    assert all(abs(sparse - dense) > 1e-3 for sparse, dense in zip(losses[8], losses[1], strict=True))


def test_the_autoencoder_does_not_depend_on_the_segmenter(prepared):
    longer = SPEC.model_copy(update={"epochs": SPEC.epochs + 1})
    assert network_key(prepared, longer, NETWORKS, AUTOENCODER) == network_key(prepared, SPEC, NETWORKS, AUTOENCODER)
    assert network_key(prepared, longer, NETWORKS, CONFIDENCE) != network_key(prepared, SPEC, NETWORKS, CONFIDENCE)


def test_scales_are_averaged_at_the_size_of_the_labels(tmp_path, manifest, prepared):
    outputs = stored(tmp_path, {"logits": (13,), "posterior_variance": ()}, scales=2)
    scene = next(stored_scenes(outputs, manifest, prepared, "test"))
    made = scene.outputs("seed0")
    size = scene.train_ids.shape
    for field, channels in (("logits", True), ("posterior_variance", False)):
        grids = [scene.stored[f"seed0/{field}/{scale}"] for scale in (0, 1)]
        assert grids[0].shape[-1] * 2 == grids[1].shape[-1]
        whole = [upsample(one if channels else one[:, None], size) for one in grids]
        expected = (whole[0] + whole[1]) / 2
        torch.testing.assert_close(getattr(made, field), expected if channels else expected[:, 0])


def test_results_are_means_over_seeds_with_their_spread(tmp_path, manifest, prepared):
    outputs = stored(tmp_path, {"logits": (13,)}, seeds=(0, 4))
    detector = build_scene_detector("max_logit", {}, prepared)
    metrics, per_scene = measure_scenes(detector, outputs, manifest, prepared, REPORTING, (0, 4))
    assert per_scene["seed"].tolist() == [0, 0, 4, 4]
    alone = measure_scenes(detector, outputs, manifest, prepared, REPORTING, (4,))[0]
    own = [name for name in alone if not name.endswith(("_low", "_high"))]
    pd.testing.assert_frame_equal(metrics.loc[metrics["seed"] == 4, own].reset_index(drop=True), alone[own])
    spec = SPEC.model_copy(update={"seeds": (0, 4)})
    rows = summarise_scenes(metrics, "max_logit", "", prepared, spec, REPORTING, IDENTITY)
    row = rows[(rows["ood_set"] == "test") & (rows["aggregation"] == "pooled")].iloc[0]
    values = metrics.loc[metrics["aggregation"] == "pooled", "auroc"]
    assert values.nunique() == 2
    assert row["auroc"] == pytest.approx(values.mean())
    assert row["auroc_sd"] == pytest.approx(abs(values.iloc[0] - values.iloc[1]) / np.sqrt(2))
    assert row["seeds"] == 2
    assert rows["n_in"].dtype == np.int64
    for metric in ("fpr95", "auroc", "aupr"):
        assert (rows[f"{metric}_low"].between(0, rows[metric])).all()
        assert (rows[f"{metric}_high"].between(rows[metric], 1)).all()
        alike = rows.groupby("aggregation")[[f"{metric}_low", f"{metric}_high"]].nunique()
        assert (alike == 1).all(axis=None)  # the mean repeats the whole set


def maps_plan(outputs, manifest, prepared, keep, gap=""):
    scores = {"detector": "max_logit", "options": {}, "key": "k", "gap": gap}
    reporting = SceneReportingSpec(examples=1, keep_score_maps=keep)
    return plan_score_maps(scores, outputs, manifest, prepared.model_dump(mode="json"), SPEC, reporting)


def made(plan: Plan):
    return dict(plan.produce(plan.parts))


def test_only_the_scenes_that_are_shown_have_stored_score_maps(outputs, manifest, prepared):
    maps = made(maps_plan(outputs, manifest, prepared, keep=False))
    assert list(maps) == [EXAMPLES]
    assert list(maps[EXAMPLES]) == chosen_scenes(manifest, 1)


def test_all_score_maps_are_kept_on_demand_and_equal_the_scores(outputs, manifest, prepared):
    maps = made(maps_plan(outputs, manifest, prepared, keep=True))
    assert list(maps) == [EXAMPLES, "seed0-test-00000", "seed0-test-00001"]
    kept = maps["seed0-test-00000"] | maps["seed0-test-00001"]
    detector = build_scene_detector("max_logit", {}, prepared)
    for scene in stored_scenes(outputs, manifest, prepared, "test"):
        np.testing.assert_array_equal(kept[scene.row["id"]].numpy(), score_pixels(detector, scene, 0))


def test_keeping_all_maps_is_another_product(outputs, manifest, prepared):
    assert len({maps_plan(outputs, manifest, prepared, keep=keep).key for keep in (False, True)}) == 2


def test_a_gap_has_no_score_map_and_no_panel(outputs, manifest, prepared, tmp_path):
    plan = maps_plan(outputs, manifest, prepared, keep=True, gap="not applicable: why")
    assert list(plan.parts) == []
    dataset = ShardsDataset(filepath=str(tmp_path / "gap"))
    dataset.save(plan)
    full = ShardsDataset(filepath=str(tmp_path / "full"))
    full.save(maps_plan(outputs, manifest, prepared, keep=False))
    examples = scene_examples({"gap": dataset.load(), "full": full.load()}, manifest, prepared)
    assert [list(one.scores) for one in examples] == [["full"]]
    assert examples[0].image.shape == (HEIGHT, WIDTH, 3)


def history(*rows):
    names = ("variant", "epoch", "validation_miou", "validation_accuracy", "validation_loss")
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_a_network_of_a_detector_is_judged_by_its_best_epochs(prepared, tmp_path):
    rows = history(("seed0", 1, 0.5, 0.8, 0.3), ("seed0", 2, 0.4, 0.9, 0.2), ("seed1", 1, 0.3, 0.6, 0.6))
    record = prepared.model_dump(mode="json")
    model = StoredModel(network_key(prepared, SPEC, NETWORKS, CONFIDENCE), {}, rows, tmp_path, "")
    quality = check_network(model, record, SPEC, NETWORKS, IDENTITY, CONFIDENCE, "confidence_branch")
    assert quality["validation"] == {"miou": pytest.approx(0.4), "pixel_accuracy": pytest.approx(0.7)}
    wanted = SPEC.model_copy(update={"least_miou": 0.35})
    model = StoredModel(network_key(prepared, wanted, NETWORKS, CONFIDENCE), {}, rows, tmp_path, "")
    with pytest.raises(WrongModelError, match=r"segmentation\.confidence_branch: mIoU 30\.0%"):
        check_network(model, record, wanted, NETWORKS, IDENTITY, CONFIDENCE, "confidence_branch")
    model = StoredModel(network_key(prepared, SPEC, NETWORKS, AUTOENCODER), {}, rows, tmp_path, "")
    quality = check_network(model, record, SPEC, NETWORKS, IDENTITY, AUTOENCODER, "autoencoder")
    assert quality["validation"] == {"loss": pytest.approx(0.4)}


def test_infinite_scores_of_pixels_are_counted(manifest, prepared, tmp_path):
    outputs = stored(tmp_path, {"logits": (13,)}, seeds=(0, 1))
    tensors = outputs.read("test-00000")
    tensors["00000/seed1/logits/0"][0, :, 0, 0] = -torch.inf
    save_file(tensors, tmp_path / "test-00000.safetensors")
    outputs.parts["test-00000"]["sha256"] = content_sum(tmp_path / "test-00000.safetensors")
    detector = build_scene_detector("max_logit", {}, prepared)
    metrics, _ = measure_scenes(detector, outputs, manifest, prepared, REPORTING, (0, 1))
    infinite = metrics.groupby("seed")["infinite_scores"].max()
    assert infinite[0] == 0
    assert 0 < infinite[1] < HEIGHT * WIDTH
    spec = SPEC.model_copy(update={"seeds": (0, 1)})
    rows = summarise_scenes(metrics, "max_logit", "", prepared, spec, REPORTING, IDENTITY)
    assert rows["infinite_scores"].eq(infinite[1]).all()


def test_nan_in_stored_scenes_is_told_with_detector_and_scene(manifest, prepared, tmp_path):
    outputs = stored(tmp_path, {"logits": (13,)})
    tensors = outputs.read("test-00000")
    tensors["00001/seed0/logits/0"][0, 3, 1, 1] = torch.nan
    save_file(tensors, tmp_path / "test-00000.safetensors")
    outputs.parts["test-00000"]["sha256"] = content_sum(tmp_path / "test-00000.safetensors")
    scene = manifest.loc[manifest["image_set"] == "test", "id"].iloc[1]
    detector = build_scene_detector("msp", {}, prepared)
    with pytest.raises(ValueError, match=rf"^detector msp, scene {scene}, seed0: .* logits that are NaN"):
        measure_scenes(detector, outputs, manifest, prepared, REPORTING)


@pytest.mark.parametrize("kind", [SHARED, CONFIDENCE, AUTOENCODER])
def test_nan_of_a_network_ends_the_pass_with_set_scene_and_remedy(manifest, prepared, monkeypatch, kind):
    def broken(pixels, seed):
        return {"logits": torch.full((1, 13, 3, 5), torch.nan if calls.append(seed) or len(calls) == 2 else 1.0)}

    calls = []
    extraction = SceneExtraction(
        manifest, prepared, SPEC, NETWORKS, SceneExtractionSpec(), Forward("cpu"), kind, ("logits",), 0, "segmentation"
    )
    monkeypatch.setattr(SceneExtraction, "_passes", lambda *_: {"seed0": broken})
    part = next(part for part in extraction.parts() if part.name.startswith("test"))
    path = manifest.loc[manifest["image_set"] == "test", "path"].iloc[1]
    with pytest.raises(
        NetworkOutputError, match=rf"^segmentation: the .* gives NaN for 1 of 3 images of test \({path};"
    ):
        list(extraction.produce(None, [part]))


def test_test_labels_that_contradict_the_validation_scenes_are_told_with_both_numbers(
    manifest, prepared, street, tmp_path, caplog
):
    def outputs_of(folder, shift):
        """Logits that agree with the labels of every pixel, those of the test scenes moved on by `shift`."""
        folder.mkdir()
        parts = {}
        for role in ("validation", "test"):
            tensors = {}
            for number, path in enumerate(manifest.loc[manifest["image_set"] == role, "label_path"]):
                ids = np.asarray(Image.open(street / path)).astype(int)
                ids = np.where(ids == 14, 0, (ids - 1 + (shift if role == "test" else 0)) % 13)
                logits = torch.nn.functional.one_hot(torch.from_numpy(ids), 13).permute(2, 0, 1)[None].float()
                tensors[f"{number:05d}/seed0/logits/0"] = logits.contiguous()
            save_file(tensors, folder / f"{role}-00000.safetensors")
            digest = content_sum(folder / f"{role}-00000.safetensors")
            parts[f"{role}-00000"] = {"items": number + 1, "sha256": digest, "seconds": 1.0}
        return StoredShards("key", {"device": "cpu"}, parts, folder)

    record = prepared.model_dump(mode="json")
    right = check_segmentation(outputs_of(tmp_path / "right", 0), manifest, record, SPEC, IDENTITY)
    assert (right["warning"], right["test"]["miou"]) == ("", 1.0)
    wrong = check_segmentation(outputs_of(tmp_path / "wrong", 2), manifest, record, SPEC, IDENTITY)
    assert "mIoU of the known pixels 0.0% on test, 100.0% on the validation scenes" in wrong["warning"]
    assert wrong["warning"] in caplog.text
