"""Scores of one classifier, by image set."""

import pandas as pd
import pytest
from toy_benchmark import model_spec

from scaling_ood.scores import Scores


@pytest.fixture
def scores() -> Scores:
    rows = [
        (image_set, labels, seed, f"{image_set}/{number}", 100 * seed + 10 * (labels == "fine") + number)
        for labels in ("fine", "coarse")
        for seed in (0, 1)
        for image_set in ("test", "far", "animals")
        for number in (0, 1)
    ]
    frame = pd.DataFrame(rows, columns=["image_set", "labels", "seed", "id", "score"])
    return Scores("msp", {}, "key", frame.astype({"score": float}), {}, {}, 1.0)


def test_of_gives_the_scores_of_one_classifier_in_the_order_of_the_manifest(scores: Scores) -> None:
    chosen = scores.of("coarse", 1)
    assert list(chosen) == ["test", "far", "animals"]
    assert {name: part.tolist() for name, part in chosen.items()} == {name: [100.0, 101.0] for name in chosen}
    assert scores.of("fine", 7) == {}


@pytest.mark.usefixtures("toy_architecture")
def test_first_is_the_first_kind_of_labels_and_the_first_seed(scores: Scores) -> None:
    first = scores.first(model_spec(labels=("coarse", "fine"), seeds=(1, 0)))
    assert first["score"].tolist() == [100.0, 101.0] * 3
    assert first.index.tolist() == list(range(6))
