"""Scores and pixel metrics by parts: whoever makes them, the tables are those of one process bit by bit."""

import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers.bench import Bench
from kedro.io import DatasetError

from scaling_ood.datasets import RecordedDataset
from scaling_ood.detectors import detector_class
from scaling_ood.engines import Split
from scaling_ood.products.plans import Plan

TIMES = {"images_per_second", "fit_seconds"}
DETECTORS = {
    # Of one that learns nothing, of those that learn, by chance too, and of those that are gaps when they have learned.
    "multi_class": ("msp", "mahalanobis", "isolation_forest", "odin_max_logit", "local_outlier_factor", "autoencoder"),
    "multi_label": ("joint_energy", "knn", "mc_dropout", "local_outlier_factor"),
}
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
    for number in (1, 2):
        scores.engine = Split(number, 2)
        scores.save(plan)
    monkeypatch.setattr(detector_class("msp"), "score", None)
    scores.engine = Split(1, 1)
    scores.save(plan)
    same(scores.load(), own.load("msp.scores"))


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
