import numpy as np
import pytest
from helpers.brought import CLASSES, brought, head

from scaling_ood.provided import ProvidedError, read_provided, survey


def problems(folder, sigmoid=False):
    with pytest.raises(ProvidedError) as caught:
        survey(read_provided(str(folder)), sigmoid)
    return str(caught.value)


def test_what_is_right_is_taken(folder):
    found = survey(read_provided(str(folder)), sigmoid=False)
    assert len(found.rows) == 130
    assert (found.classes, found.features, found.multi_hot) == (CLASSES, 7, False)
    assert found.rows["id"].is_unique
    first = found.rows[found.rows["image_set"] == "test"].iloc[0]
    assert first["target"] == str(brought(40, 0)["targets"][0])


def test_everything_that_is_wrong_is_told_at_once(folder, rewritten):
    wide = brought(30)["logits"]
    wide[3] = np.nan
    rewritten("test", logits=np.where(np.arange(40)[:, None] == 2, np.nan, brought(40, 0)["logits"]))
    rewritten("fit", targets=np.full(60, CLASSES))
    rewritten("odd", logits=wide[:, :3])
    told = problems(folder)
    assert "test: the logits of 1 of 40 images are NaN" in told
    assert f"fit: targets must be classes 0 to {CLASSES - 1}" in told
    assert "odd: the logits of 1 of 30 images are NaN" in told
    assert "the logits have different widths" in told


@pytest.mark.parametrize("sigmoid", [False, True])
def test_probabilities_are_no_logits(folder, rewritten, sigmoid):
    for name, images in {"test": 40, "fit": 60, "odd": 30}.items():
        logits = brought(images)["logits"]
        odds = 1 / (1 + np.exp(-logits)) if sigmoid else np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        hot = np.eye(CLASSES)[brought(images)["targets"]] if sigmoid else brought(images)["targets"]
        rewritten(name, logits=odds, features=None, targets=hot)
    assert "look like probabilities" in problems(folder, sigmoid)


def test_one_set_of_probabilities_is_enough(folder, rewritten):
    odds = np.exp(brought(30, 2)["logits"])
    rewritten("odd", logits=odds / odds.sum(axis=1, keepdims=True))
    assert problems(folder) == "odd: the logits look like probabilities: give what enters the softmax"


def test_log_probabilities_are_no_logits(folder, rewritten):
    for name, images in {"test": 40, "fit": 60, "odd": 30}.items():
        logits = brought(images)["logits"]
        rewritten(name, logits=logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), features=None)
    assert "look like log-probabilities" in problems(folder)


def test_features_that_do_not_enter_the_last_layer_are_refused(folder, rewritten):
    rewritten("odd", features=brought(30, 5)["features"])
    assert "odd: head makes other logits of the features" in problems(folder)


def test_a_head_of_another_width_is_told(folder):
    np.savez(folder / "head.npz", weight=head()["weight"][:, :4], bias=head()["bias"])
    assert "the features have different widths: test 7, fit 7, odd 7, head 4" in problems(folder).replace(
        "fit 7, odd 7, test 7", "test 7, fit 7, odd 7"
    )


def test_ids_that_stand_twice_are_told(folder, rewritten):
    rewritten("odd", ids=np.array(["same"] * 30))
    assert "ids name 29 images twice: odd/same" in problems(folder)


def test_half_precision_logits_are_what_the_head_makes(folder, rewritten):
    for name, images, seed in (("test", 40, 0), ("fit", 60, 1), ("odd", 30, 2)):
        own = brought(images, seed)
        rewritten(name, logits=own["logits"].astype(np.float16), features=own["features"].astype(np.float16))
    assert len(survey(read_provided(str(folder)), sigmoid=False).rows) == 130


def test_infinite_logits_are_taken_and_infinite_features_are_not(folder, rewritten):
    logits, features = brought(30, 2)["logits"], brought(30, 2)["features"]
    logits[0, 0], features[1, 1] = -np.inf, np.inf
    rewritten("odd", logits=logits, features=features)
    told = problems(folder)
    assert "odd: the features of 1 of 30 images are NaN or infinite" in told
    assert "logits of" not in told
