"""What a person says of preprocessing goes over what the source says, which may be nothing."""

import pytest
from pydantic import ValidationError

from scaling_ood.images import Preprocessing
from scaling_ood.models import architecture
from scaling_ood.parameters.multi_class import ClassifierSpec
from scaling_ood.parameters.preparing import PreprocessingSpec

OWN = Preprocessing(256, 224, "bicubic", (0.5,) * 3, (0.25,) * 3, border=True)


def test_nothing_stated_leaves_the_sources() -> None:
    assert PreprocessingSpec().over(OWN) == OWN


def test_what_is_stated_goes_over_the_sources() -> None:
    stated = PreprocessingSpec(resize_px=232, mean=(0.1, 0.2, 0.3), squash=True)
    assert stated.over(OWN) == Preprocessing(232, 224, "bicubic", (0.1, 0.2, 0.3), (0.25,) * 3, squash=True)


def test_where_the_source_says_nothing_all_that_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="preprocessing lacks mean, std, resize_px, crop_px: nothing says"):
        PreprocessingSpec().over(None)
    levels = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    known = PreprocessingSpec(**levels, resize_px=40).over(None, input_px=32)
    assert known == Preprocessing(40, 32, "bilinear", (0.0,) * 3, (1.0,) * 3)
    squashed = PreprocessingSpec(**levels, squash=True).over(None, input_px=32)
    assert (squashed.resize_px, squashed.squash) == (32, True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": (123.675, 116.28, 103.53)}, r"not of 0\.\.255: give \[0\.485, 0\.456, 0\.406\]"),
        ({"std": (0.2, 0.0, 0.2)}, "must be above 0"),
        ({"mean": (0.5, 0.5)}, "mean"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"crop": 3}, "no such parameter"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PreprocessingSpec.model_validate(given)


def spec(**fields: object) -> ClassifierSpec:
    return ClassifierSpec.model_validate({"architecture": "resnet18", "weights": "published", **fields})


def test_it_is_part_of_the_key_as_what_comes_out() -> None:
    plain, stated = spec(), spec(preprocessing={"mean": [0.5, 0.5, 0.5]})
    assert plain.what_matters() != stated.what_matters()
    same = spec(preprocessing={"mean": list(architecture("resnet18").preprocessing.mean)})
    assert same.what_matters() == plain.what_matters()
    assert plain.sees != stated.sees


def test_one_thing_is_not_said_twice() -> None:
    with pytest.raises(ValidationError, match="input_px and preprocessing say the same"):
        spec(input_px=64, preprocessing={"crop_px": 64})
    with pytest.raises(ValidationError, match=r"takes images of 224 pixels alone: leave preprocessing\.crop_px out"):
        spec(architecture="vit_b_16", preprocessing={"crop_px": 64})
