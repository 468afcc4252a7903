"""`extraction.keep: scores`: the same numbers, and nothing of size images x classes is stored of test images."""

import pickle

import pandas as pd
import pytest
import torch
from helpers.bench import variant

from scaling_ood.evaluation.passes import HEADS, image_set_of
from scaling_ood.parameters.setting import ExtractionSpec

SETTINGS = ("multi_class", "multi_label")


@pytest.fixture(scope="module", params=SETTINGS)
def both(request, benches, tmp_path_factory):
    """The toy benchmark with outputs kept, and with scores alone."""
    kept = benches(request.param)
    folder = tmp_path_factory.mktemp("alone")
    alone = variant(kept, folder, extraction__keep="scores")
    products = [f"{name}.scores" for name in kept.spec.methods]
    # The shared benchmark may have been measured by other tests; what was copied of that is made anew.
    alone.run(*products, f"{kept.spec.shared}.quality", "results")
    return kept, alone


def test_scores_are_the_same_bit_by_bit(both):
    kept, alone = both
    measured = 0
    for name, method in kept.spec.methods.items():
        expected, found = kept.load(f"{name}.scores"), alone.load(f"{name}.scores")
        assert (found.gap, found.diagnostics.keys()) == (expected.gap, expected.diagnostics.keys())
        # A head that read stored features passes over the images itself here: another batch rounds otherwise.
        exact = not kept.task.reads_outputs(kept.spec, method.network)
        tolerance = {"check_exact": True} if exact else {"rtol": 1e-4, "atol": 1e-5}
        pd.testing.assert_frame_equal(found.frame, expected.frame, **tolerance)
        measured += exact and not found.gap
    assert measured > 5
    shared = f"{kept.spec.shared}.quality"
    assert alone.load(shared).value == kept.load(shared).value


def test_only_numbers_per_image_stay_of_test_images(both):
    kept, alone = both
    network = kept.spec.shared
    assert {image_set_of(name) for name in alone.outputs().parts if name != HEADS} == {"fit"}
    scored = alone.load(f"{network}.scored")
    assert list(scored.parts) == [n for n in kept.outputs().parts if n != HEADS and image_set_of(n) != "fit"]
    for part in scored.parts:
        for name, tensor in scored.read(part).items():
            judged = name.startswith("judged/")
            assert image_set_of(part) == "test" or not judged
            assert tensor.ndim == (2 if judged and kept.setting == "multi_label" else 1)


def test_another_process_scores_any_part_alike(both):
    _, alone = both
    name = f"{alone.spec.shared}.scored"
    plan, stored = alone.made(name), alone.load(name)
    part = plan.parts[-1]
    ((made, tensors),) = pickle.loads(pickle.dumps(plan.make))([part])
    assert made == part.name
    for key, tensor in stored.read(made).items():
        assert torch.equal(tensors[key], tensor)


def test_a_change_of_a_detector_takes_a_new_pass_of_the_test_images_alone(both, tmp_path):
    _, alone = both
    assert alone.stale() == set()
    changed = variant(alone, tmp_path, detectors__energy={"temperature": 9.0}).stale()
    assert changed == {f"{alone.spec.shared}.scored"}  # and what follows from it


def test_the_report_is_made_and_says_what_is_not_there(both):
    _, alone = both
    alone.run("report")
    assert "scores alone (extraction.keep)" in str(alone.load("report"))


def test_where_it_is_the_default_no_key_knows_of_it():
    assert "keep" not in ExtractionSpec().what_matters()
    assert ExtractionSpec(keep="scores").what_matters()["keep"] == "scores"
