"""Fitting and scoring: the numbers of the detectors, on the right images, and errors that name who and where."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.stored import spoilt

from scaling_ood.detectors import detector_class
from scaling_ood.evaluation import scoring
from scaling_ood.evaluation.fitting import DetectorError
from scaling_ood.metrics import NonFiniteScoreError
from scaling_ood.parameters.common import RuntimeSpec

SETS = {"multi_class": ("test", "greens", "static", "raw_static"), "multi_label": ("test", "wild", "static")}


@pytest.fixture(params=SETS)
def own(request, benches):
    return benches(request.param)


def plan(own, detector, outputs=None):
    method = own.spec.methods[detector]
    quality = own.load(f"{method.network}.quality")
    given = outputs or own.outputs(method.network)
    return own.task.score(method, given, quality, own.manifest, RuntimeSpec(device="cpu"))


def score(own, detector, outputs=None):
    return plan(own, detector, outputs).whole()


FORMULAS = {
    "max_logit": lambda logits: -logits.max(axis=1),
    "msp": lambda logits: -(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).max(axis=1),
    "logit_avg": lambda logits: -logits.mean(axis=1),
    "energy": lambda logits: -np.log(np.exp(logits).sum(axis=1)),
    "joint_energy": lambda logits: -np.log1p(np.exp(logits)).sum(axis=1),
}


@pytest.mark.parametrize("detector", FORMULAS)
def test_scores_are_those_of_the_formula_in_the_order_of_the_manifest(own, detector):
    frame = score(own, detector).frame
    assert list(dict.fromkeys(frame["image_set"])) == list(SETS[own.setting])
    for seed in (0, 1):
        for image_set in SETS[own.setting]:
            rows = frame[(frame["seed"] == seed) & (frame["image_set"] == image_set)]
            assert list(rows["id"]) == list(own.manifest.of(image_set)["id"])
            expected = FORMULAS[detector](own.output(image_set, seed=seed).double().numpy())
            np.testing.assert_allclose(rows["score"], expected, rtol=1e-5, atol=1e-6)


def test_every_detector_scores_the_identical_images_and_none_that_anything_was_learnt_on(own):
    columns = ["id", "image_set", "seed"]
    reference = own.load("msp.scores").frame[columns]
    learnt = set(own.manifest.rows.loc[own.manifest.rows["image_set"].isin(["train", "fit"]), "id"])
    assert not learnt & set(reference["id"])
    for name in own.spec.methods:
        scores = own.load(f"{name}.scores")
        if not scores.gap:
            pd.testing.assert_frame_equal(scores.frame[columns], reference)


def test_a_gap_leaves_an_empty_table_with_the_columns(own):
    scores = score(own, "autoencoder")
    assert scores.gap.startswith("not applicable: it takes reconstruction_error")
    assert scores.frame.empty
    assert list(scores.frame.columns) == ["id", "image_set", "seed", "score"]
    late = score(own, "local_outlier_factor")
    assert re.fullmatch(r"not applicable: too few fit images \(\d+; at least 21\)", late.gap)
    assert late.frame.empty


def test_what_is_known_of_outputs_and_network_goes_with_the_scores(own):
    scores, quality = score(own, "mc_dropout"), own.load(f"{own.spec.methods['mc_dropout'].network}.quality")
    assert scores.about["network"] == own.spec.methods["mc_dropout"].network
    assert scores.about["network_quality"]["quality"] == quality.value
    assert scores.about["device"] == "cpu"
    assert scores.seeds == (0, 1)
    assert scores.images_per_second > 0
    assert scores.fit_seconds > 0
    assert scores.device == "cpu"


def test_a_nan_score_ends_with_detector_set_image_and_count(own, monkeypatch):
    right = detector_class("max_logit").score

    def broken(self, chunk):
        scores = right(self, chunk)
        if len(chunk) == 3:  # the second shard of the set: images 5, 6 and 7
            scores[1:] = torch.nan
        return scores

    monkeypatch.setattr(detector_class("max_logit"), "score", broken)
    image_set = next(name for name in SETS[own.setting] if len(own.manifest.of(name)) % 5 == 3)
    rows = own.manifest.of(image_set)
    told = f"2 of {len(rows)} scores of detector max_logit in {image_set} (image {rows['id'].iloc[-2]}) are NaN"
    with pytest.raises(NonFiniteScoreError, match=re.escape(told)):
        score(own, "max_logit")


def test_infinite_scores_are_kept_and_told(own, monkeypatch, caplog):
    right = detector_class("max_logit").score
    monkeypatch.setattr(detector_class("max_logit"), "score", lambda self, chunk: right(self, chunk).abs() * np.inf)
    assert np.isinf(score(own, "max_logit").frame["score"]).all()
    assert "max_logit, static, seed0: 6 of 6 scores are infinite" in caplog.text


@pytest.mark.parametrize(("detector", "image_set"), [("msp", "static"), ("isolation_forest", "fit")])
def test_nan_in_stored_outputs_ends_with_detector_set_image_count_and_remedy(own, tmp_path, detector, image_set):
    field = next(iter(own.spec.methods[detector].needs))
    bad = spoilt(own.outputs(), tmp_path, f"{image_set}-00000", f"seed0/{field}", torch.nan, (1, 0))
    rows = own.manifest.of(image_set)["id"]
    told = (
        f"detector {detector}: the {field} of 1 of {len(rows)} images of {image_set} are NaN or infinite "
        f"({rows.iloc[1]}; seed0). Delete {tmp_path}: the next run"
    )
    with pytest.raises(DetectorError, match=f"^{re.escape(told)}"):
        score(own, detector, bad)


def test_what_a_library_says_of_numbers_is_told_with_detector_and_images(own, monkeypatch):
    def broken(self, view):
        raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")

    monkeypatch.setattr(detector_class("max_logit"), "fit", broken)
    with pytest.raises(DetectorError, match=r"^detector max_logit, fit images, seed0: linalg\.eigh: The algorithm"):
        score(own, "max_logit")


def test_scoring_that_takes_long_shows_its_progress_and_the_rest_none(own, monkeypatch, capsys):
    score(own, "msp")
    assert "shard" not in capsys.readouterr().err
    monkeypatch.setattr(scoring, "_SLOW_SECONDS", 0)
    score(own, "msp")
    shown = capsys.readouterr().err
    shards = len(plan(own, "msp").parts)
    assert "msp: 100%" in shown
    assert f"{shards}/{shards}" in shown
