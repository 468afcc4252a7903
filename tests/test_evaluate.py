import numpy as np
import pandas as pd
import pytest
import torch
from helpers.brought import brought, head
from scipy.special import logsumexp
from sklearn.metrics import average_precision_score, roc_auc_score

from scaling_ood.detectors import Outputs, build_detector
from scaling_ood.evaluate import Evaluation, evaluate_outputs
from scaling_ood.products.records import RESULT_COLUMNS
from scaling_ood.provided import ProvidedError
from scaling_ood.tasks.task import WrongNetworkError


@pytest.fixture(scope="module")
def found() -> Evaluation:
    own = {"odd": brought(30, 2)["logits"] / 2, "strange": {"logits": brought(25, 3)["logits"] / 4}}
    test, fit = brought(80, 0), brought(200, 1)
    return evaluate_outputs(
        {k: test[k] for k in ("logits", "targets")}, own, fit={k: fit[k] for k in ("logits", "targets")}
    )


def row(found: Evaluation, detector: str, ood_set: str) -> pd.Series:
    return found.results.query("detector == @detector and ood_set == @ood_set").iloc[0]


@pytest.mark.parametrize(
    ("detector", "score"),
    [
        ("max_logit", lambda logits: -logits.max(axis=1)),
        ("energy", lambda logits: -logsumexp(logits, axis=1)),
        ("msp", lambda logits: -np.exp(logits - logsumexp(logits, axis=1, keepdims=True)).max(axis=1)),
    ],
)
def test_numbers_are_those_of_an_independent_reference(found, detector, score):
    known, odd = (score(each.astype(np.float32)) for each in (brought(80, 0)["logits"], brought(30, 2)["logits"] / 2))
    scores, is_ood = np.concatenate([known, odd]), np.arange(110) >= 80
    own = row(found, detector, "odd")
    assert own["auroc"] == pytest.approx(roc_auc_score(is_ood, scores), abs=1e-6)
    assert own["aupr"] == pytest.approx(average_precision_score(is_ood, scores), abs=1e-6)
    assert (own["n_in"], own["n_out"]) == (80, 30)


def test_the_table_is_that_of_a_run(found):
    assert list(found.results.columns) == list(RESULT_COLUMNS)
    assert (found.results["benchmark"] == "own_outputs").all()
    assert found.results["auroc_low"].notna().sum() > 10


def test_what_is_missing_makes_named_gaps(found):
    assert found.gaps["knn"] == "not applicable: there are no features (there are: logits)"
    assert "background" in found.gaps
    assert "temperature_scaling" not in found.gaps
    odd = {"odd": brought(30, 2)["logits"]}
    without = evaluate_outputs(brought(40)["logits"], odd, detectors=["kl_matching", "msp"])
    assert without.gaps == {
        "kl_matching": "not applicable: it learns from in-distribution images, and there is no set `fit`"
    }


def test_features_and_head_serve_the_detectors_that_read_them():
    sets = {"test": brought(80, 0), "fit": brought(300, 1), "odd": brought(60, 2)}
    names = ["vim", "knn", "react", "ash", "mahalanobis"]
    given = {"fit": sets["fit"], "head": head(), "detectors": names}
    found = evaluate_outputs(sets["test"], {"odd": sets["odd"]}, **given)
    assert not found.gaps
    view_free = evaluate_outputs(sets["test"], {"odd": sets["odd"]}, **{**given, "head": None})
    assert set(view_free.gaps) == {"vim", "react", "ash"}


def test_scores_and_files_are_handed_out(found, tmp_path):
    own = found.scores["msp"]
    assert list(own.columns) == ["id", "image_set", "score"]
    assert own["image_set"].value_counts().to_dict() == {"test": 80, "odd": 30, "strange": 25}
    logits = torch.tensor(brought(80, 0)["logits"]).float()
    expected = build_detector("msp").score(Outputs(logits)).numpy()
    assert own.loc[own["image_set"] == "test", "score"].to_numpy() == pytest.approx(expected)
    found.save(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.html", "results.csv", "results.txt"]
    assert "msp" in str(found)


def test_several_classes_an_image():
    def hot(images, seed):
        own = brought(images, seed)
        return {"logits": own["logits"], "targets": (own["logits"] > 0).astype(int)}

    found = evaluate_outputs(
        hot(60, 0), {"odd": brought(30, 2)["logits"]}, fit=hot(60, 1), setting="multi_label", detectors=["joint_energy"]
    )
    assert set(found.results["setting"]) == {"multi_label"}
    assert "mAP" in found.report


def test_options_and_words_are_checked():
    sets = brought(20)["logits"], {"odd": brought(20, 2)["logits"]}
    with pytest.raises(ValueError, match="did you mean 'max_logit'"):
        evaluate_outputs(*sets, detectors=["max_logits"])
    with pytest.raises(ValueError, match="did you mean 'multi_label'"):
        evaluate_outputs(*sets, setting="multilabel")
    with pytest.raises(ProvidedError, match="cannot be called mean"):
        evaluate_outputs(sets[0], {"mean": sets[0]})
    halves = evaluate_outputs(*sets, detectors={"energy": {"temperature": 2.0}, "msp": {}})
    assert list(halves.scores) == ["energy", "msp"]


def test_rows_on_both_sides_are_refused():
    logits = brought(20)["logits"]
    with pytest.raises(ValueError, match="stand on both sides"):
        evaluate_outputs(logits, {"odd": logits})


def test_the_report_says_how_good_the_network_is():
    known = brought(40)
    right = (known["logits"].argmax(axis=1) == known["targets"]).mean()
    given = {"logits": known["logits"], "targets": known["targets"]}
    found = evaluate_outputs(given, {"odd": brought(30, 2)["logits"]}, detectors=["msp"])
    assert 0 < right < 1
    assert f"top-1 accuracy {right:.1%}" in found.report


def test_images_of_unknown_class_are_no_class_that_chance_knows():
    known = brought(2000)
    targets = known["targets"].copy()
    targets[100:] = -1
    found = evaluate_outputs(
        {"logits": known["logits"], "targets": targets}, {"odd": brought(30, 2)["logits"]}, detectors=["msp"]
    )
    assert "top-1 accuracy 90.0%" in found.report


def test_a_network_that_is_worse_than_stated_is_refused():
    known = brought(40)
    given = {"logits": known["logits"], "targets": known["targets"]}
    with pytest.raises(WrongNetworkError, match=r"90\.0% on 40 .* under the 95\.0%"):
        evaluate_outputs(given, {"odd": brought(30, 2)["logits"]}, detectors=["msp"], least_quality=0.95)
