"""Scores and pixel metrics by parts: whoever makes them, the tables are those of one process bit by bit."""

import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.bench import Bench, variant
from kedro.io import DatasetError

from scaling_ood.datasets import RecordedDataset
from scaling_ood.detectors import build_detector, detector_class
from scaling_ood.engines import Split
from scaling_ood.evaluation.scene_parts import Counted, Counting, Scenes, measure_scenes, plan_measures
from scaling_ood.metrics import PooledThresholds
from scaling_ood.models import Forward
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Plan
from scaling_ood.products.scores import Measured

TIMES = {"images_per_second", "fit_seconds"}
DETECTORS = {
    # Of one that learns nothing, of those that learn, by chance too, and of those that are gaps when they have learned.
    "multi_class": ("msp", "mahalanobis", "isolation_forest", "odin_max_logit", "local_outlier_factor", "autoencoder"),
    "multi_label": ("joint_energy", "knn", "mc_dropout", "local_outlier_factor"),
}
PIXELS = ("msp", "temperature_scaling", "mc_dropout", "autoencoder", "odin_max_logit", "mahalanobis")
CASES = [(setting, detector) for setting, detectors in DETECTORS.items() for detector in detectors]


def sent(plan: Plan[Any]) -> Plan[Any]:
    """As another process receives it."""
    return replace(plan, make=pickle.loads(pickle.dumps(plan.make)))


def made_by(plan: Plan[Any], folder: Path, turns: int, processes: int = 3) -> Any:
    """The product, collected after several turns of several processes."""
    own = RecordedDataset(filepath=str(folder / "product"))
    for _ in range(turns):
        for number in range(1, processes + 1):
            own.engine = Split(number, processes)
            own.save(sent(plan))
    there, of, further = own.progress()
    assert (there, further) == (of, False)
    own.engine = Split(1, 1)
    own.save(plan)
    return own.load()


def same(one: Any, other: Any) -> None:
    """All fields but times, and tables bit by bit."""
    assert type(one) is type(other)
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, pd.DataFrame):
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        elif field.name not in TIMES:
            assert mine == theirs, field.name


@pytest.mark.parametrize(("setting", "detector"), CASES)
def test_scores_are_those_of_one_process(benches: Any, tmp_path: Path, setting: str, detector: str) -> None:
    own: Bench = benches(setting)
    expected = own.load(f"{detector}.scores")  # made by the engine `local`
    plan = own.made(f"{detector}.scores")
    found = made_by(plan, tmp_path, 1)
    same(found, expected)
    assert bool(found.gap) == (detector in ("local_outlier_factor", "autoencoder"))
    if not found.gap:
        assert len(plan.parts) > 2 * len(found.seeds) > 2
        assert found.fit_seconds >= 0 < found.images_per_second


@pytest.fixture(scope="module", params=["ood", "in_dist"])
def scenes(request: pytest.FixtureRequest, benches: Any, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The toy scenes with one of the classes as positive."""
    own: Bench = benches("segmentation")
    for network in own.spec.used_networks:
        own.outputs(network)
    return variant(own, tmp_path_factory.mktemp("scenes"), reporting__positive_class=request.param)


@pytest.mark.parametrize("detector", PIXELS)
def test_pixel_metrics_are_those_of_one_process(scenes: Bench, tmp_path: Path, detector: str) -> None:
    expected = scenes.run(f"{detector}.measured").load(f"{detector}.measured")
    plan = scenes.made(f"{detector}.measured")
    found = made_by(plan, tmp_path, 2)
    same(found, expected)
    assert found.metrics.empty == (detector in ("temperature_scaling", "mahalanobis"))  # gaps
    if not found.metrics.empty:
        assert found.results["positive_class"].eq(scenes.spec.reporting.positive_class).all()
        assert [part.name for part in plan.parts] == [f"seed{seed}/test-0000{k}" for seed in (0, 1) for k in (0, 1)]


def test_subsets_are_counted_apart(scenes: Bench, tmp_path: Path) -> None:
    manifest, outputs = scenes.manifest, scenes.outputs()
    first = manifest.of("test")["id"].iloc[0]
    record = manifest.preparation.model_copy(update={"ood": ("test", "first")})
    rows = manifest.rows.assign(subsets=manifest.rows["id"].map(lambda name: "first" if name == first else ""))
    given = outputs, replace(manifest, rows=rows, preparation=record), scenes.spec.reporting
    detectors = {seed: build_detector("max_logit") for seed in (0, 1)}
    expected = measure_scenes(detectors, *given)
    assert set(expected[0]["ood_set"]) == {"test", "first"}
    plan = plan_measures(detectors.__getitem__, *given, Forward("cpu"), (0, 1), Measured)
    found = made_by(replace(plan, origin=Origin("measure_scores")), tmp_path, 2)
    pd.testing.assert_frame_equal(found.results, expected[0], check_exact=True)
    pd.testing.assert_frame_equal(found.metrics, expected[1], check_exact=True)


def test_one_process_alone_asks_for_one_part_a_seed_and_for_one_seed_at_a_time(
    benches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Bench = benches("segmentation")
    asked = []
    for kind, call in ((Scenes, Scenes.__call__), (Counting, Counting.__call__)):

        def note(self: Any, parts: Any, kind: type = kind, call: Any = call) -> Any:
            for part in parts:
                asked.append((kind, part.name))
                yield from call(self, [part])

        monkeypatch.setattr(kind, "__call__", note)
    own.made("msp.measured").whole()
    assert asked == [(kind, f"seed{seed}/test") for seed in (0, 1) for kind in (Counting, Scenes)]


@pytest.mark.parametrize("thresholds", [5, 5000])
def test_counts_are_read_back_as_they_were(thresholds: int) -> None:
    random = np.random.default_rng(thresholds)
    pooled = PooledThresholds()
    pooled.take(random.normal(size=thresholds).astype(np.float32))
    start = {"test": pooled.counts(by_image=True), "none": PooledThresholds().counts(by_image=True)}
    counts = {name: each.fresh() for name, each in start.items()}
    scores = random.normal(size=900).astype(np.float32)
    for image in "ab":
        counts["test"].take(counts["test"].place(scores[:9], scores), image)
    counted = Counted([("a", 1, 2, 0.1, 0.2, float("nan"), 1 / 3)], {"test": 7, "none": 0}, counts)
    tensors = counted.tensors()
    assert ("test/reached/at" in tensors) == (thresholds > 900)
    found = Counted.of(tensors, start)
    assert repr(found.rows) == repr(counted.rows)
    assert found.infinite == counted.infinite
    for name, each in counts.items():
        theirs = found.counts[name]
        assert list(theirs.images) == list(each.images)
        for kind, array in each.arrays().items():
            np.testing.assert_array_equal(theirs.arrays()[kind], array)
            assert theirs.arrays()[kind].dtype == array.dtype or "marks" in kind
    assert found.counts["test"].n_ood == 18
    assert start["test"].n_ood == 0


def test_a_detector_is_fitted_once_for_each_seed_in_a_process(
    benches: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Bench = benches("multi_class")
    fitted, fit = [], detector_class("mahalanobis").fit
    monkeypatch.setattr(detector_class("mahalanobis"), "fit", lambda self, view: fitted.append(1) or fit(self, view))
    plan = own.made("mahalanobis.scores")
    plan.whole()
    assert len(fitted) == 2
    fitted.clear()
    made_by(plan, tmp_path, 1)
    assert len(fitted) == 2 * 3


def test_nothing_is_scored_where_all_parts_are_there(
    benches: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Bench = benches("multi_class")
    plan, scores = own.made("msp.scores"), RecordedDataset(filepath=str(tmp_path / "product"))
    expected = own.load("msp.scores")  # made by one process, before nobody can score any more
    for number in (1, 2):
        scores.engine = Split(number, 2)
        scores.save(plan)
    monkeypatch.setattr(detector_class("msp"), "score", None)
    scores.engine = Split(1, 1)
    scores.save(plan)
    same(scores.load(), expected)


def test_nan_and_infinite_scores_are_told_of_whole_image_sets(
    benches: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own: Bench = benches("multi_class")
    right = detector_class("max_logit").score
    monkeypatch.setattr(detector_class("max_logit"), "score", lambda self, chunk: right(self, chunk).abs() * torch.inf)
    found = made_by(own.made("max_logit.scores"), tmp_path / "infinite", 1)
    assert found.frame["score"].eq(torch.inf).all()
    assert "max_logit, static, seed0: 6 of 6 scores are infinite" in caplog.text
    monkeypatch.setattr(detector_class("max_logit"), "score", lambda self, chunk: right(self, chunk) * torch.nan)
    first = own.manifest.of("test")["id"].iloc[0]
    with pytest.raises(DatasetError, match=rf"12 of 12 scores of detector max_logit in test \(image {first}\) are NaN"):
        made_by(own.made("max_logit.scores"), tmp_path / "nan", 1)
