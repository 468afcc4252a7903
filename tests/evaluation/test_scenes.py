"""Scores of pixels: read back and up-sampled, measured in bounded memory, and kept as maps where one asks."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.stored import spoilt, stored
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode

from scaling_ood.detectors import build_detector
from scaling_ood.evaluation import chunks, scene_tables
from scaling_ood.evaluation.chunks import SceneOutputs, stored_scenes
from scaling_ood.evaluation.scene_maps import chosen_scenes, scene_examples
from scaling_ood.evaluation.scene_parts import measure_scenes
from scaling_ood.evaluation.scene_tables import mark_scene_ties, score_pixels, summarise_scenes
from scaling_ood.images.scenes import ANOMALY, VOID
from scaling_ood.metrics import detection_metrics, tpr_at_fpr
from scaling_ood.models.upsampling import upsample
from scaling_ood.parameters.common import PixelReportingSpec, RuntimeSpec
from scaling_ood.products.records import METRICS, RESULT_COLUMNS
from scaling_ood.products.scores import Scores

REPORTING = PixelReportingSpec(bootstrap_replicates=200)
SHARDS = {"validation-00000": ("validation", 0, 3), "test-00000": ("test", 0, 2), "test-00001": ("test", 2, 1)}
FIELDS = {"logits": (2,), "posterior_variance": (), "confidence": (), "reconstruction_error": ()}


@pytest.fixture(scope="module")
def manifest(benches):
    return benches("segmentation").manifest


def outputs_of(folder, manifest, fields=FIELDS, seeds=(0,), scales=1):
    """Outputs of chance; scale s has s + 1 times the sides of the first."""
    generator = torch.Generator().manual_seed(1)
    shards = {}
    for name, (image_set, start, count) in SHARDS.items():
        tensors = {}
        for number, seed, scale in itertools.product(range(count), seeds, range(scales)):
            height, width = (40, 56) if start + number == 1 else (48, 64)
            for field, channels in fields.items():
                shape = (1, *channels, height // 8 * (scale + 1), width // 8 * (scale + 1))
                tensors[f"{number:05d}/seed{seed}/{field}/{scale}"] = torch.rand(*shape, generator=generator) * 5
        assert len(manifest.of(image_set)) >= count
        shards[name] = (count, tensors)
    return stored(folder, shards, seeds)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, manifest):
    return outputs_of(tmp_path_factory.mktemp("outputs"), manifest)


def test_scenes_come_in_the_order_of_the_manifest_with_their_own_labels(outputs, manifest):
    seen = list(stored_scenes(outputs, manifest, "test"))
    assert [scene.row["id"] for scene in seen] == list(manifest.of("test")["id"])
    for scene in seen:
        raw = np.asarray(Image.open(f"{manifest.folders['street']}/{scene.row['label_path']}"))
        expected = np.select([raw == 9, raw == 255], [ANOMALY, VOID], raw.astype(int))
        np.testing.assert_array_equal(scene.train_ids, expected)


def test_shards_without_a_chosen_scene_are_not_read(outputs, manifest):
    wanted = manifest.of("test")["id"].iloc[2]
    lost = {name: dict(part, sha256="lost") for name, part in outputs.parts.items() if name != "test-00001"}
    (scene,) = stored_scenes(replace(outputs, parts={**outputs.parts, **lost}), manifest, "test", [wanted])
    assert scene.row["id"] == wanted


def test_a_view_can_be_passed_over_twice_and_has_a_scene_a_chunk(outputs, manifest):
    view = SceneOutputs(outputs, manifest, "validation", "seed0")
    first, again = ([chunk.logits for chunk in view] for _ in range(2))
    assert [tuple(one.shape) for one in first] == [(1, 2, 48, 64), (1, 2, 40, 56), (1, 2, 48, 64)]
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))


def test_scales_are_averaged_at_the_size_of_the_labels(tmp_path, manifest):
    made = outputs_of(tmp_path, manifest, {"logits": (2,), "posterior_variance": ()}, scales=2)
    scene = next(stored_scenes(made, manifest, "test"))
    found = scene.outputs("seed0", ("logits", "posterior_variance"))
    for field, channels in (("logits", True), ("posterior_variance", False)):
        grids = [scene.stored[f"seed0/{field}/{scale}"] for scale in (0, 1)]
        assert grids[0].shape[-1] * 2 == grids[1].shape[-1]
        whole = [upsample(one if channels else one[:, None], scene.train_ids.shape) for one in grids]
        expected = (whole[0] + whole[1]) / 2
        torch.testing.assert_close(found[field], expected if channels else expected[:, 0])


@pytest.fixture
def narrow_strips(monkeypatch):
    """Strips of a few rows of these small scenes."""
    monkeypatch.setattr(chunks, "_STRIP", 5 * 64 * 2)


@pytest.mark.parametrize("name", ["msp", "max_logit", "energy", "logit_avg", "background", "autoencoder"])
def test_strips_are_parts_of_the_whole_and_the_same_whatever_is_wanted(outputs, manifest, name, narrow_strips):
    detector = build_detector(name)
    for scene in stored_scenes(outputs, manifest, "test"):
        wanted = scene.train_ids == ANOMALY
        strips = dict(enumerate(scene.strips("seed0", detector.needs)))
        some = [rows for rows, _ in scene.strips("seed0", detector.needs, wanted=wanted)]
        assert [rows.start for rows, _ in strips.values()] == list(range(0, len(wanted), strips[0][0].stop))
        assert some == [rows for rows, _ in strips.values() if wanted[rows].any()]
        scores, of_some = (score_pixels(detector, scene, 0, wanted=each) for each in (None, wanted))
        if wanted.any():
            assert len(some) < len(strips)
            assert torch.equal(scores[wanted], of_some[wanted])
        whole = detector.score(scene.outputs("seed0", detector.needs))[0]
        torch.testing.assert_close(scores, whole, rtol=1e-5, atol=1e-6)


def test_outputs_are_up_sampled_whole_on_a_gpu(outputs, manifest):
    scene = next(stored_scenes(outputs, manifest, "test"))
    with FakeTensorMode(allow_non_fake_inputs=True):
        ((rows, strip),) = scene.strips("seed0", ("logits", "confidence"), torch.device("cuda"))
    assert rows == slice(0, 48)
    assert {strip[name].device.type for name in strip.fields} == {"cuda"}
    assert [tuple(strip[name].shape) for name in strip.fields] == [(1, 2, 48, 64), (1, 48, 64)]


@pytest.mark.parametrize("positive_class", ["ood", "in_dist"])
@pytest.mark.parametrize("way", ["threads", "tensors"])
def test_metrics_depend_neither_on_threads_nor_on_where_pixels_are_ranked(
    outputs, manifest, monkeypatch, positive_class, way, narrow_strips
):
    reporting = REPORTING.model_copy(update={"positive_class": positive_class})
    expected = measure_scenes({0: build_detector("msp")}, outputs, manifest, reporting)
    if way == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
        monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    else:  # as they are on a GPU
        monkeypatch.setattr(scene_tables, "_picked", lambda scores, of: scores[torch.from_numpy(of)])
    found = measure_scenes({0: build_detector("msp")}, outputs, manifest, reporting)
    for mine, theirs in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


@pytest.mark.parametrize("positive_class", ["ood", "in_dist"])
def test_nan_scores_are_told_with_detector_scene_and_count(outputs, manifest, positive_class):
    detector = build_detector("max_logit")
    detector.score = lambda chunk: chunk.logits[:, 0].masked_fill(chunk.logits[:, 0] > 4, torch.nan)
    told = set()
    for scene in stored_scenes(outputs, manifest, "test"):
        known = scene.train_ids != VOID
        bad = (scene.outputs("seed0").logits[0, 0].numpy() > 4) & known
        told.add(f"detector max_logit: {bad.sum()} of {known.sum()} scores of image {scene.row['id']} are NaN")
    with pytest.raises(ValueError, match="are NaN") as caught:
        measure_scenes(
            {0: detector}, outputs, manifest, REPORTING.model_copy(update={"positive_class": positive_class})
        )
    assert str(caught.value).split(" (the first")[0] in told


def flat(field):
    return lambda maps, size: upsample(maps[f"seed0/{field}/0"][:, None], size)[0, 0].numpy()


def logits_of(maps, size):
    return upsample(maps["seed0/logits/0"], size)


SCORES = {
    "max_logit": lambda maps, size: -logits_of(maps, size).amax(dim=1)[0].numpy(),
    "msp": lambda maps, size: -logits_of(maps, size).double().softmax(dim=1).amax(dim=1)[0].numpy(),
    "background": lambda maps, size: logits_of(maps, size).double().softmax(dim=1)[0, 0].numpy(),
    "confidence_branch": lambda maps, size: -flat("confidence")(maps, size),
    "autoencoder": flat("reconstruction_error"),
}


@pytest.mark.parametrize("name", SCORES)
def test_metrics_are_those_of_the_upsampled_outputs(outputs, manifest, name):
    metrics, per_scene = measure_scenes({0: build_detector(name)}, outputs, manifest, REPORTING)
    frames = [
        (SCORES[name](scene.stored, scene.train_ids.shape)[known], scene.train_ids[known] == ANOMALY)
        for scene in stored_scenes(outputs, manifest, "test")
        if (known := scene.train_ids != VOID).any()
    ]
    expected = [detection_metrics(score, is_ood) for score, is_ood in frames if is_ood.any()]
    # Two pixels whose scores differ by rounding may change places: 2e-5 of an AUPR of so few anomalous ones.
    rows, columns = metrics.set_index("aggregation"), ["auroc", "aupr", "fpr95"]
    assert len(per_scene) == len(expected) == 2
    assert rows.loc["per_image", "skipped"] == 1
    np.testing.assert_allclose(rows.loc["per_image", columns].astype(float), np.mean(expected, axis=0), atol=1e-4)
    caught = np.mean([tpr_at_fpr(*frame) for frame in frames if frame[1].any()])
    assert rows.loc["per_image", "tpr_at_5_fpr"] == pytest.approx(caught, abs=1e-4)
    joined = [np.concatenate([frame[part] for frame in frames]) for part in (0, 1)]
    assert rows.loc["pooled", "tpr_at_5_fpr"] == pytest.approx(tpr_at_fpr(*joined), abs=1e-4)
    pooled = detection_metrics(*joined)
    np.testing.assert_allclose(rows.loc["pooled", columns].astype(float), pooled, atol=1e-4)
    assert rows.loc["pooled", "n_out"] == sum(int(is_ood.sum()) for _, is_ood in frames)


def scores_of(seeds=(0,), gap=""):
    about = {"seeds": list(seeds), "targets": "classes", "model": "toy", "network": "segmenter"}
    return Scores("max_logit", pd.DataFrame(), gap, {}, about)


def test_results_are_means_over_seeds_with_their_spread_and_the_mean_repeats_the_whole_set(tmp_path, manifest):
    made = outputs_of(tmp_path, manifest, {"logits": (2,)}, seeds=(0, 4))
    detectors = {seed: build_detector("max_logit") for seed in (0, 4)}
    metrics, per_scene = measure_scenes(detectors, made, manifest, REPORTING)
    assert per_scene["seed"].tolist() == [0, 0, 4, 4]
    alone = measure_scenes({4: detectors[4]}, made, manifest, REPORTING)[0]
    own = [name for name in alone if not name.endswith(("_low", "_high"))]
    pd.testing.assert_frame_equal(metrics.loc[metrics["seed"] == 4, own].reset_index(drop=True), alone[own])
    rows = summarise_scenes(metrics, scores_of((0, 4)), manifest.preparation, REPORTING)
    assert list(rows["ood_set"]) == ["test", "test", "mean", "mean"]
    row = rows[(rows["ood_set"] == "test") & (rows["aggregation"] == "pooled")].iloc[0]
    values = metrics.loc[metrics["aggregation"] == "pooled", "auroc"]
    assert values.nunique() == 2
    assert row["auroc"] == pytest.approx(values.mean())
    assert row["auroc_sd"] == pytest.approx(abs(values.iloc[0] - values.iloc[1]) / np.sqrt(2))
    assert (row["seeds"], rows["n_in"].dtype) == (2, np.int64)
    assert rows.loc[rows["ood_set"] == "mean", "mean_of"].unique().tolist() == ["test"]
    for metric in METRICS:
        assert rows[f"{metric}_low"].between(0, rows[metric]).all()
        assert rows[f"{metric}_high"].between(rows[metric], 1).all()
        alike = rows.groupby("aggregation")[[metric, f"{metric}_low", f"{metric}_high"]].nunique()
        assert (alike == 1).all(axis=None)


def test_a_subset_has_rows_of_its_own_scenes(outputs, manifest):
    names = manifest.rows["id"].map(lambda name: "small" if name == manifest.of("test")["id"].iloc[0] else "")
    record = manifest.preparation.model_copy(update={"ood": ("test", "small")})
    own = replace(manifest, rows=manifest.rows.assign(subsets=names), preparation=record)
    metrics, per_scene = measure_scenes({0: build_detector("msp")}, outputs, own, REPORTING)
    rows = metrics.set_index(["ood_set", "aggregation"])
    assert rows.loc[("small", "per_image"), "auroc"] == per_scene["auroc"].iloc[0]
    assert rows.loc[("small", "pooled"), "auroc"] == pytest.approx(per_scene["auroc"].iloc[0], abs=1e-9)
    assert rows.loc[("test", "pooled"), "n_in"] > rows.loc[("small", "pooled"), "n_in"]


def test_a_gap_has_its_rows_and_no_number(manifest):
    reason = "not applicable: why"
    rows = summarise_scenes(pd.DataFrame(), scores_of(gap=reason), manifest.preparation, REPORTING)
    assert len(rows) == 4
    assert rows["auroc"].isna().all()
    assert set(rows["gap"]) == {reason}


def per_scene(ids, **values):
    return pd.DataFrame({"seed": 0, "id": ids, **values})


def test_a_detector_is_tied_with_the_best_only_if_scenes_disagree(manifest):
    ids = list(manifest.of("test")["id"])
    good = per_scene(ids, fpr95=[0.1, 0.2, 0.1], auroc=[0.9, 0.8, 0.9], aupr=[0.5, 0.4, 0.5])
    worse = good.assign(auroc=good["auroc"] - 0.1, fpr95=good["fpr95"] + 0.1, aupr=good["aupr"] - 0.1)
    tables = {"good": good, "worse": worse, "mixed": good.assign(auroc=[0.95, 0.7, 0.9])}
    results = pd.DataFrame({"detector": list(tables), "ood_set": "test", "aggregation": "per_image"})
    marked = mark_scene_ties(results.reindex(columns=list(RESULT_COLUMNS)), tables, manifest, REPORTING)
    assert marked["auroc_tied"].tolist() == [True, False, True]
    assert marked["fpr95_tied"].tolist() == [True, False, True]


def test_a_single_scene_is_no_comparison_and_pooled_rows_are_never_marked(manifest):
    ids = list(manifest.of("test")["id"])
    for chosen, aggregation in ((ids[:1], "per_image"), (ids, "pooled")):
        good = per_scene(chosen, fpr95=0.1, auroc=0.9, aupr=0.5)
        tables = {"good": good, "bad": good.assign(auroc=0.4, fpr95=0.9, aupr=0.1)}
        results = pd.DataFrame({"detector": list(tables), "ood_set": "test", "aggregation": aggregation})
        marked = mark_scene_ties(results.reindex(columns=list(RESULT_COLUMNS)), tables, manifest, REPORTING)
        assert marked[[f"{metric}_tied" for metric in METRICS]].isna().all(axis=None)


def test_infinite_scores_of_pixels_are_counted(outputs, manifest, tmp_path):
    place = (0, slice(None), 0, 0)
    bad = spoilt(outputs, tmp_path, "test-00000", "00000/seed0/logits/0", -torch.inf, place)
    metrics, _ = measure_scenes({0: build_detector("max_logit")}, bad, manifest, REPORTING)
    assert 0 < metrics["infinite_scores"].iloc[0] < 48 * 64
    rows = summarise_scenes(metrics, scores_of(), manifest.preparation, REPORTING)
    assert rows["infinite_scores"].eq(metrics["infinite_scores"].iloc[0]).all()


def test_nan_in_stored_scenes_is_told_with_detector_and_scene(outputs, manifest, tmp_path):
    bad = spoilt(outputs, tmp_path, "test-00000", "00001/seed0/logits/0", torch.nan, (0, 1, 1, 1))
    scene = manifest.of("test")["id"].iloc[1]
    with pytest.raises(ValueError, match=rf"^detector msp, scene {scene}, seed0: .* logits that are NaN"):
        measure_scenes({0: build_detector("msp")}, bad, manifest, REPORTING)


# Maps


@pytest.fixture(scope="module")
def kept(benches):
    """Plans of score maps: of the scenes that are shown, and of all."""
    own = benches("segmentation")

    def plan(keep):
        reporting = own.spec.reporting.model_copy(update={"keep_score_maps": keep})
        methods = {name: own.spec.methods[name] for name in ("max_logit", "autoencoder")}
        stored_outputs = {name: own.outputs(name) for name in ("segmenter", "autoencoder")}
        return own.task.plan_maps(methods, stored_outputs, own.manifest, reporting, RuntimeSpec(device="cpu"))

    return own, plan


def test_only_the_scenes_that_are_shown_have_stored_score_maps(kept):
    own, plan = kept
    maps = dict(plan(False).make(plan(False).parts))
    assert list(maps) == ["max_logit/examples", "autoencoder/examples"]
    assert [list(each) for each in maps.values()] == [chosen_scenes(own.manifest, 1)] * 2
    shown = own.manifest.rows.set_index("id").loc[chosen_scenes(own.manifest, 5), "anomalous"]
    assert (len(shown), shown.min() > 0) == (2, True)


def test_all_score_maps_are_kept_on_demand_and_equal_the_scores(kept):
    own, plan = kept
    maps = dict(plan(True).make(plan(True).parts))
    assert [name for name in maps if name.startswith("max_logit")] == [
        "max_logit/examples",
        *(f"max_logit/seed{seed}-test-0000{shard}" for seed in (0, 1) for shard in (0, 1)),
    ]
    for seed in (0, 1):
        found = maps[f"max_logit/seed{seed}-test-00000"] | maps[f"max_logit/seed{seed}-test-00001"]
        for scene in stored_scenes(own.outputs(), own.manifest, "test"):
            expected = score_pixels(build_detector("max_logit"), scene, seed)
            np.testing.assert_array_equal(found[scene.row["id"]].numpy(), expected)


def test_a_gap_has_no_score_map_and_no_panel(benches):
    own = benches("segmentation")
    maps, gaps = own.load("score_maps"), [name for name in own.spec.methods if own.load(f"{name}.scores").gap]
    assert gaps
    assert not {name.split("/")[0] for name in maps.parts} & set(gaps)
    (example,) = scene_examples(maps, own.manifest)
    assert example.scores.keys() == own.spec.methods.keys() - set(gaps)
    assert example.image.shape[:2] == next(iter(example.scores.values())).shape
    (single,) = scene_examples(maps, own.manifest, ["msp"])
    assert list(single.scores) == ["msp"]
