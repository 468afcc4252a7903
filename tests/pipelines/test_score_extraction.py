"""Outputs, accuracy and scores: right numbers, right images, and refusal of what means nothing."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from pipelines_toys import DETECTORS, EXTRACTION, IDENTITY, NETWORKS, RUNTIME
from safetensors.torch import save_file
from toy_benchmark import build_toy

from scaling_ood.datasets import ShardsDataset, StoredModel, StoredShards
from scaling_ood.datasets.kept_files import content_sum
from scaling_ood.detectors import Detector, Outputs, detector_class
from scaling_ood.wording import in_bytes
from scaling_ood.metrics import NonFiniteScoreError
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.multi_class import ExtractionSpec, ModelSpec, OdinSpec
from scaling_ood.pipelines.extraction import fields_for
from scaling_ood.pipelines.score_extraction import nodes
from scaling_ood.pipelines.score_extraction.nodes import (
    DetectorError,
    StoredOutputs,
    WrongModelError,
    check_accuracy,
    fit_and_score,
    plan_outputs,
)
from scaling_ood.plans import StaleProductError
from scaling_ood.preparation import Preparation, outputs_key
from scaling_ood.scores import Scores

VARIANTS = ("fine_seed0", "fine_seed1", "coarse_seed0", "coarse_seed1")


def logits_of(outputs: StoredShards, image_set: str, variant: str) -> torch.Tensor:
    return torch.cat([chunk.logits for chunk in StoredOutputs(outputs, image_set, variant)])


@pytest.fixture
def score(
    outputs: StoredShards,
    accuracy: dict[str, Any],
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
) -> Any:
    def run(detector: str, **changes: Any) -> Scores:
        given: dict[str, Any] = {
            "outputs": outputs,
            "accuracy": accuracy,
            "manifest": manifest,
            "preparation": preparation,
            "spec": spec,
            "networks": NETWORKS,
            "extraction": EXTRACTION,
            "detectors": DETECTORS,
            "identity": IDENTITY,
            "options": DETECTORS.get(detector, {}),
            "detector": detector,
        }
        return fit_and_score(**(given | changes))

    return run


def test_outputs_hold_the_logits_of_every_variant_for_every_image(
    outputs: StoredShards, model: StoredModel, preparation: dict[str, Any]
) -> None:
    states = model.states()
    for name in ("fit", "test", "greens", "static", "raw_static"):
        for variant in VARIANTS:
            logits = logits_of(outputs, name, variant)
            assert logits.shape == (preparation["images"][name], len(states[variant]["bias"]))
    assert outputs.about["device"] == "cpu"
    assert outputs.about["precision"] == "float32"


def test_logits_are_those_of_backbone_and_head_on_the_image_of_the_same_row(
    outputs: StoredShards, model: StoredModel, manifest: pd.DataFrame, preparation: dict[str, Any]
) -> None:
    from PIL import Image

    backbone, state = build_toy(True)[0].eval(), model.states()["fine_seed1"]
    rows = manifest[manifest["image_set"] == "test"]
    for row, logits in zip(rows.itertuples(), logits_of(outputs, "test", "fine_seed1"), strict=True):
        with Image.open(f"{preparation['folders']['squares']}/{row.path}") as image:
            pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
        features = backbone(torch.from_numpy((pixels - 0.5) / 0.5)[None])
        expected = (features @ state["weight"].T + state["bias"])[0]
        torch.testing.assert_close(logits, expected.detach(), rtol=1e-4, atol=1e-4)


def test_batch_size_workers_and_memory_order_change_neither_key_nor_logits(
    outputs: StoredShards,
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path: Path,
) -> None:
    other = RuntimeSpec(device="cpu", batch_images=3, workers=1, channels_last=True)
    plan = plan_outputs(model, manifest, preparation, spec, EXTRACTION, DETECTORS, other, IDENTITY)
    assert plan.key == outputs.key
    dataset = ShardsDataset(filepath=str(tmp_path / "other"))
    dataset.save(plan)
    for name in ("test", "static"):
        torch.testing.assert_close(
            logits_of(dataset.load(), name, "fine_seed0"),
            logits_of(outputs, name, "fine_seed0"),
            rtol=1e-4,
            atol=1e-5,
        )


def test_a_lost_shard_is_made_again_and_scores_stay_with_their_images(
    outputs: StoredShards,
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    score: Any,
) -> None:
    before = score("max_logit").frame
    (outputs.folder / "test-00000.safetensors").unlink()
    dataset = ShardsDataset(filepath=str(outputs.folder))
    dataset.save(plan_outputs(model, manifest, preparation, spec, EXTRACTION, DETECTORS, RUNTIME, IDENTITY))
    pd.testing.assert_frame_equal(score("max_logit", outputs=dataset.load()).frame, before)


def test_a_stale_model_is_refused(
    model: StoredModel, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> None:
    other = spec.model_copy(update={"epochs": 9})
    with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_class\.model"):
        plan_outputs(model, manifest, preparation, other, EXTRACTION, DETECTORS, RUNTIME, IDENTITY)


@pytest.fixture
def mislabelled(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with the label of one image for fitting and of two test images moved on by one."""
    wrong = [
        manifest.index[manifest["image_set"] == name][index] for name, index in [("fit", 0), ("test", 3), ("test", 7)]
    ]
    changed = manifest.copy()
    changed.loc[wrong, "label"] = (changed.loc[wrong, "label"] + 1) % 4
    return changed


def test_accuracy_is_the_share_of_held_out_images_whose_largest_logit_is_their_label(
    outputs: StoredShards, mislabelled: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> None:
    accuracy = check_accuracy(outputs, mislabelled, preparation, spec, IDENTITY)
    held_out = pd.concat([mislabelled[mislabelled["image_set"] == name] for name in ("fit", "test")])
    for variant in VARIANTS:
        logits = torch.cat([logits_of(outputs, name, variant) for name in ("fit", "test")])
        labels = held_out["label"] if variant.startswith("fine") else held_out["label"] // 2
        right = sum(row.index(max(row)) == label for row, label in zip(logits.tolist(), labels, strict=True))
        assert accuracy["top1"][variant] == pytest.approx(right / 32)
    assert accuracy["top1"]["fine_seed0"] < 1
    assert accuracy["images"] == 32


def test_images_that_were_trained_on_do_not_count_for_the_accuracy(
    outputs: StoredShards, mislabelled: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> None:
    accuracy = check_accuracy(outputs, mislabelled, {**preparation, "trained_fit": 20}, spec, IDENTITY)
    assert accuracy["images"] == int((mislabelled["image_set"] == "test").sum())
    labels = mislabelled.loc[mislabelled["image_set"] == "test", "label"].to_numpy()
    predicted = logits_of(outputs, "test", "fine_seed0").argmax(dim=1).numpy()
    assert accuracy["top1"]["fine_seed0"] == pytest.approx((predicted == labels).mean())


def test_a_model_below_the_least_accuracy_is_refused_with_both_numbers(
    outputs: StoredShards, mislabelled: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> None:
    top1 = check_accuracy(outputs, mislabelled, preparation, spec, IDENTITY)["top1"]
    worst = min(top1["fine_seed0"], top1["fine_seed1"])
    check_accuracy(outputs, mislabelled, preparation, spec.model_copy(update={"least_top1": worst}), IDENTITY)
    strict = spec.model_copy(update={"least_top1": worst + 0.001})
    with pytest.raises(WrongModelError) as caught:
        check_accuracy(outputs, mislabelled, preparation, strict, IDENTITY)
    assert str(caught.value).startswith(f"multi_class: top-1 accuracy {worst:.1%} on 32 in-distribution images")
    assert f"under the {worst + 0.001:.1%}" in str(caught.value)
    assert "(model.least_top1)" in str(caught.value)


def test_scores_are_those_of_the_detector_on_the_logits_in_the_order_of_the_manifest(
    score: Any, outputs: StoredShards, manifest: pd.DataFrame
) -> None:
    scores = score("max_logit")
    sets = ("test", "greens", "static", "raw_static")
    assert len(scores.frame) == 4 * sum((manifest["image_set"] == name).sum() for name in sets)
    for labels, seed in (("fine", 0), ("fine", 1), ("coarse", 0), ("coarse", 1)):
        part = scores.frame[(scores.frame["labels"] == labels) & (scores.frame["seed"] == seed)]
        assert list(dict.fromkeys(part["image_set"])) == list(sets)
        for name in sets:
            own = part[part["image_set"] == name]
            assert list(own["id"]) == list(manifest.loc[manifest["image_set"] == name, "id"])
            logits = logits_of(outputs, name, f"{labels}_seed{seed}")
            np.testing.assert_allclose(own["score"], -logits.amax(dim=1).double().numpy())


def test_every_detector_scores_the_identical_images(score: Any) -> None:
    columns = ["id", "image_set", "labels", "seed"]
    reference = score("msp").frame[columns]
    for detector in DETECTORS:
        pd.testing.assert_frame_equal(score(detector).frame[columns], reference)


def test_images_for_fitting_are_never_scored(score: Any, manifest: pd.DataFrame) -> None:
    fitted = set(manifest.loc[manifest["image_set"].isin(["fit", "train"]), "id"])
    assert not fitted & set(score("kl_matching").frame["id"])


def test_options_reach_the_detector_and_the_key(score: Any) -> None:
    cold, hot = score("energy"), score("energy", options={"temperature": 9.0})
    assert cold.key != hot.key
    assert cold.options == {"temperature": 2.0}
    assert not np.allclose(cold.frame["score"], hot.frame["score"])


def test_shard_size_changes_no_score(
    score: Any,
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path: Path,
) -> None:
    large = ExtractionSpec(shard_images=100)
    dataset = ShardsDataset(filepath=str(tmp_path / "large"))
    dataset.save(plan_outputs(model, manifest, preparation, spec, large, DETECTORS, RUNTIME, IDENTITY))
    for detector in DETECTORS:
        other = score(detector, outputs=dataset.load(), extraction=large).frame
        np.testing.assert_allclose(other["score"], score(detector).frame["score"], rtol=1e-5, atol=1e-5)


def test_kl_matching_with_too_few_fit_images_is_a_named_gap_without_numbers(
    model: StoredModel, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, score: Any, tmp_path: Path
) -> None:
    fit = manifest[manifest["image_set"] == "fit"]
    few = pd.concat([fit.groupby("class_name").head(4), manifest[manifest["image_set"] != "fit"]], ignore_index=True)
    changed = preparation | {
        "images": preparation["images"] | {"fit": 16},
        "digests": preparation["digests"] | {"fit": "fewer"},
    }
    dataset = ShardsDataset(filepath=str(tmp_path / "few"))
    dataset.save(plan_outputs(model, few, changed, spec, EXTRACTION, DETECTORS, RUNTIME, IDENTITY))
    given = {"outputs": dataset.load(), "manifest": few, "preparation": changed}
    scores = score("kl_matching", **given)
    assert scores.gaps.keys() == {"fine"}
    assert scores.gaps["fine"].startswith("not applicable: too few fit images (16 images fill ")
    assert set(scores.frame["labels"]) == {"coarse"}
    assert scores.diagnostics.keys() == {"coarse_seed0", "coarse_seed1"}
    assert score("msp", **given).gaps == {}


def test_a_detector_that_applies_nowhere_leaves_an_empty_table_with_the_columns(
    score: Any, outputs: StoredShards
) -> None:
    without = {name: part for name, part in outputs.parts.items() if not name.startswith("fit-")}
    scores = score("kl_matching", outputs=replace(outputs, parts=without))
    assert scores.frame.empty
    assert list(scores.frame.columns) == ["id", "score", "image_set", "labels", "seed"]
    assert scores.gaps.keys() == {"fine", "coarse"}


def test_a_nan_score_ends_with_detector_set_image_and_count(
    score: Any, manifest: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = detector_class("max_logit").score

    def broken(self: Detector, chunk: Outputs) -> torch.Tensor:
        scores = right(self, chunk)
        if len(chunk) == 3:  # the second shard of the greens: images 5, 6 and 7 of 8
            scores[1:] = torch.nan
        return scores

    monkeypatch.setattr(detector_class("max_logit"), "score", broken)
    with pytest.raises(NonFiniteScoreError) as caught:
        score("max_logit")
    image = manifest.loc[manifest["image_set"] == "greens", "id"].iloc[6]
    assert f"2 of 8 scores of detector max_logit in greens (image {image}) are NaN" in str(caught.value)


def test_infinite_scores_are_kept(score: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = detector_class("max_logit").score
    monkeypatch.setattr(detector_class("max_logit"), "score", lambda self, chunk: right(self, chunk) * np.inf)
    assert np.isinf(score("max_logit").frame["score"]).all()


@pytest.mark.parametrize("image_set", ["train", "fit", "test", "greens", "static"])
def test_outputs_of_other_images_are_refused(score: Any, preparation: dict[str, Any], image_set: str) -> None:
    changed = preparation | {"digests": preparation["digests"] | {image_set: "other"}}
    with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_class\.outputs"):
        score("msp", preparation=changed)


def test_outputs_of_another_precision_are_refused(score: Any) -> None:
    with pytest.raises(StaleProductError, match=r"multi_class\.outputs is stale"):
        score("msp", extraction=ExtractionSpec(shard_images=5, precision="bf16"))


def test_outputs_stay_valid_when_a_detector_that_reads_the_same_is_switched_off(score: Any) -> None:
    assert score("msp", detectors={"msp": {}, "energy": False}).key == score("msp").key


@pytest.mark.parametrize("name", ["mc_dropout", "autoencoder"])
def test_a_detector_whose_outputs_nothing_makes_is_a_named_gap(score: Any, name: str) -> None:
    detectors = {"msp": {}, name: {}}
    assert fields_for(detectors) == ["logits"]
    scores = score(name, detectors=detectors)
    assert scores.frame.empty
    assert "no pipeline of this setting makes its" in scores.gaps["fine"]


def test_outputs_are_stored_for_all_detectors_that_are_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_class("energy"), "needs", frozenset({"features"}))
    assert fields_for({"msp": {}}) == ["logits"]
    assert fields_for({"msp": {}, "energy": {}}) == ["features", "logits"]
    assert fields_for({"msp": {}, "energy": False}) == ["logits"]
    assert fields_for({"energy": {}}) == ["features", "logits"]


def test_fine_classifiers_know_the_groups_of_their_classes_and_coarse_ones_none(
    score: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Watching(StoredOutputs):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            if self.image_set == "fit":
                seen.append((self.variant, self.class_groups.tolist() if self.class_groups is not None else None))

    monkeypatch.setattr(nodes, "StoredOutputs", Watching)
    score("msp")
    assert seen == [
        ("fine_seed0", [0, 0, 1, 1]),
        ("fine_seed1", [0, 0, 1, 1]),
        ("coarse_seed0", None),
        ("coarse_seed1", None),
    ]


def test_the_slice_from_model_to_scores_runs_and_a_second_run_computes_nothing(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {
        "model": model,
        "manifest": manifest,
        "preparation": preparation,
        "params:model": spec,
        "params:networks": NETWORKS,
        "params:extraction": EXTRACTION,
        "params:detectors": DETECTORS,
        "params:runtime": RUNTIME,
        "params:identity": IDENTITY,
        "params:options": {},
        "params:detector": "kl_matching",
    }
    catalog = DataCatalog(
        {
            **{name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()},
            "outputs": ShardsDataset(filepath=str(tmp_path / "slice")),
            "accuracy": MemoryDataset(),
            "scores": MemoryDataset(copy_mode="assign"),
        }
    )
    shared = ["manifest", "preparation", "params:model"]
    extraction = ["model", *shared, "params:extraction", "params:detectors", "params:runtime", "params:identity"]
    scoring = [
        "outputs",
        "accuracy",
        *shared,
        "params:networks",
        "params:extraction",
        "params:detectors",
        "params:identity",
    ]
    graph = Pipeline(
        [
            Node(plan_outputs, extraction, "outputs", name="extract"),
            Node(check_accuracy, ["outputs", *shared, "params:identity"], "accuracy", name="check"),
            Node(fit_and_score, [*scoring, "params:options", "params:detector"], "scores", name="score"),
        ]
    )
    SequentialRunner().run(graph, catalog)
    first = catalog["scores"].load().frame
    assert len(first) == 4 * 32

    def refuse(*_: object) -> None:
        raise AssertionError("the network was assembled again")

    monkeypatch.setattr(nodes, "assemble", refuse)
    SequentialRunner().run(graph, catalog)
    pd.testing.assert_frame_equal(catalog["scores"].load().frame, first)


@pytest.mark.parametrize("variant", ["fine_seed1", "coarse_seed0"])
def test_detectors_are_fitted_beside_the_classes_and_the_last_layer(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path: Path,
    variant: str,
) -> None:
    reads_features: Any = {"msp": {}, "vim": {}}
    plan = plan_outputs(model, manifest, preparation, spec, EXTRACTION, reads_features, RUNTIME, IDENTITY)
    dataset = ShardsDataset(filepath=str(tmp_path / "outputs"))
    dataset.save(plan)
    prepared = Preparation.model_validate(preparation)
    chosen = next(one for one in prepared.variants(spec) if one.name == variant)
    view = nodes._fit_view(dataset.load(), manifest, prepared, chosen)
    head, fine = view.head, manifest.loc[manifest["image_set"] == "fit", "label"].to_numpy()
    assert head is not None
    assert view.labels is not None
    for chunk in view:
        assert chunk.features is not None
        torch.testing.assert_close(head.logits(chunk.features).float(), chunk.logits, rtol=1e-4, atol=1e-4)
    groups = np.array(prepared.group_of_class)
    assert view.labels.tolist() == (fine if chosen.labels == "fine" else groups[fine]).tolist()
    assert (view.class_groups is not None) == (chosen.labels == "fine")


def test_without_features_no_last_layer_is_stored(outputs: StoredShards) -> None:
    assert StoredOutputs(outputs, "fit", "fine_seed0").head is None


def test_the_logits_of_odin_are_those_after_its_step(
    model: StoredModel, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path: Path
) -> None:
    reads: Any = {"msp": {}, "odin_max_logit": {}}
    shards = {}
    for name, odin in (("none", OdinSpec(epsilon=0.0)), ("step", OdinSpec(epsilon=0.01)), ("hot", OdinSpec())):
        extraction = EXTRACTION.model_copy(update={"odin": odin})
        plan = plan_outputs(model, manifest, preparation, spec, extraction, reads, RUNTIME, IDENTITY)
        shards[name] = ShardsDataset(filepath=str(tmp_path / name))
        shards[name].save(plan)
    assert len({one.load().key for one in shards.values()}) == 3
    for variant in VARIANTS:
        for chunk in StoredOutputs(shards["none"].load(), "test", variant):
            assert chunk.odin_logits is not None
            torch.testing.assert_close(chunk.odin_logits, chunk.logits, rtol=1e-4, atol=1e-5)
    moved = 0
    for chunk in StoredOutputs(shards["step"].load(), "test", "fine_seed0"):
        assert chunk.odin_logits is not None
        top = chunk.logits.argmax(dim=1, keepdim=True)
        posterior = [logits.log_softmax(dim=1).gather(1, top) for logits in (chunk.logits, chunk.odin_logits)]
        moved += int((posterior[1] > posterior[0]).sum())
    assert moved > 0.9 * preparation["images"]["test"]  # the step makes the image look more like its class


def test_the_step_of_odin_counts_in_the_key_only_where_it_is_made(preparation: dict[str, Any], spec: ModelSpec) -> None:
    prepared = Preparation.model_validate(preparation)
    small, large = (EXTRACTION.model_copy(update={"odin": OdinSpec(epsilon=one)}) for one in (0.001, 0.01))
    plain, made = ["logits"], ["logits", "odin_logits"]
    assert outputs_key(prepared, spec, small, plain) == outputs_key(prepared, spec, large, plain)
    assert outputs_key(prepared, spec, small, made) != outputs_key(prepared, spec, large, made)


def test_scoring_that_takes_long_shows_its_progress_and_the_rest_none(
    score: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score("msp")
    assert "shard" not in capsys.readouterr().err
    monkeypatch.setattr(nodes, "_SLOW_SECONDS", 0)
    score("msp")
    shown = capsys.readouterr().err
    # 12 test images in shards of five, for each of the classifiers.
    assert "msp, test, fine_seed0: 100%" in shown
    assert "3/3" in shown


def test_outputs_in_half_precision_are_half_as_large_and_read_as_float32(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    outputs: StoredShards,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    half = EXTRACTION.model_copy(update={"stored": "float16"})
    dataset = ShardsDataset(filepath=str(tmp_path / "outputs"))
    with caplog.at_level("INFO", logger="scaling_ood"):
        plan = plan_outputs(model, manifest, preparation, spec, half, DETECTORS, RUNTIME, IDENTITY)
    told = caplog.text
    dataset.save(plan)
    stored = dataset.load()
    tensors = [tensor for name in stored.parts if name != "heads" for tensor in stored.read(name).values()]
    assert {tensor.dtype for tensor in tensors} == {torch.float16}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert f"Outputs take {in_bytes(size)} on disk when all are there" in told
    assert f"Outputs of test: {preparation['images']['test']} images" in told
    for variant in VARIANTS:
        mine = logits_of(stored, "test", variant)
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, logits_of(outputs, "test", variant), rtol=1e-3, atol=1e-3)


def spoilt(outputs: StoredShards, name: str, field: str, value: float, folder: Path) -> StoredShards:
    """The same outputs as another version stored them, with one number of the second image of a shard replaced."""
    parts = {}
    for each, recorded in outputs.parts.items():
        tensors = outputs.read(each)
        if each == name:
            for variant in VARIANTS:
                tensors[f"{variant}/{field}"][1, 0] = value
        save_file(tensors, folder / f"{each}.safetensors")
        parts[each] = {**recorded, "sha256": content_sum(folder / f"{each}.safetensors")}
    return replace(outputs, parts=parts, folder=folder)


@pytest.mark.parametrize(("detector", "image_set"), [("msp", "greens"), ("kl_matching", "fit"), ("max_logit", "test")])
def test_nan_in_stored_outputs_ends_with_detector_set_image_count_and_remedy(
    score: Any, outputs: StoredShards, manifest: pd.DataFrame, tmp_path: Path, detector: str, image_set: str
) -> None:
    bad = spoilt(outputs, f"{image_set}-00000", "logits", torch.nan, tmp_path)
    rows = manifest.loc[manifest["image_set"] == image_set, "id"]
    message = (
        f"detector {detector}: the logits of 1 of {len(rows)} images of {image_set} are NaN or infinite "
        f"({rows.iloc[1]}; fine_seed0). Delete {tmp_path}: the next run"
    )
    with pytest.raises(DetectorError, match=f"^{re.escape(message)}"):
        score(detector, outputs=bad)


def test_what_a_library_says_of_numbers_is_told_with_detector_and_images(
    score: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Detector, view: Any) -> Detector:
        raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")

    monkeypatch.setattr(detector_class("max_logit"), "fit", broken)
    with pytest.raises(
        DetectorError, match=r"^detector max_logit, fit images, fine_seed0: linalg\.eigh: The algorithm"
    ):
        score("max_logit")


def test_infinite_scores_are_told(
    score: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = detector_class("max_logit").score

    def one(self: Detector, chunk: Outputs) -> torch.Tensor:
        scores = right(self, chunk)
        scores[0] = torch.inf
        return scores

    monkeypatch.setattr(detector_class("max_logit"), "score", one)
    score("max_logit")
    assert "max_logit, greens, fine_seed0: 2 of 8 scores are infinite" in caplog.text


def test_test_labels_that_contradict_the_fit_images_are_told_with_both_numbers(
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = check_accuracy(outputs, manifest, preparation, spec, IDENTITY)
    assert (right["warning"], caplog.text) == ("", "")
    assert right["by_set"]["test"] > 0.9
    renumbered = manifest.copy()
    test = renumbered["image_set"] == "test"
    renumbered.loc[test, "label"] = (renumbered.loc[test, "label"] + 1) % 4
    wrong = check_accuracy(outputs, renumbered, preparation, spec, IDENTITY)
    assert wrong["by_set"] == {
        "fit": right["by_set"]["fit"],
        "test": pytest.approx(1 - right["by_set"]["test"], abs=0.1),
    }
    told = f"top-1 accuracy {wrong['by_set']['test']:.1%} on test, {wrong['by_set']['fit']:.1%} on the fit images"
    assert told in wrong["warning"]
    assert wrong["warning"] in caplog.text
