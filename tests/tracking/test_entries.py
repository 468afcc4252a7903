import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH, _validate_metric_name
from pydantic import BaseModel, RootModel

from scaling_ood.tracking.entries import finite_metrics, flatten_parameters, parameter_text, valid_name


class Colour(Enum):
    RED = "red"


class Part(BaseModel):
    split: str
    share: float | None = None


class Library(RootModel[dict[str, Part]]):
    pass


@dataclass
class Size:
    side_px: int


class Setting(BaseModel):
    model_config = {"extra": "allow"}
    part: Part
    parts: tuple[Part, ...] = ()
    library: Library = Library({})
    detectors: dict[str, dict[str, int] | Literal[False]] = {}
    colour: Colour = Colour.RED


def test_nested_models_become_dotted_names() -> None:
    setting = Setting(
        part=Part(split="val", share=0.5),
        parts=(Part(split="a"),),
        library=Library({"voc": Part(split="test")}),
        detectors={"msp": {}, "energy": {"temperature": 2}, "kl_matching": False},
        size=Size(224),
    )
    assert flatten_parameters(setting, "s") == {
        "s.part.split": "val",
        "s.part.share": 0.5,
        "s.parts": '[{"split": "a", "share": null}]',
        "s.library.voc.split": "test",
        "s.library.voc.share": "null",
        "s.detectors.msp": "{}",
        "s.detectors.energy.temperature": 2,
        "s.detectors.kl_matching": False,
        "s.colour": "red",
        "s.size.side_px": 224,
    }


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        (None, "null"),
        (True, True),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        ([Size(1), Path("a/b"), Colour.RED], '[{"side_px": 1}, "a/b", "red"]'),
        ({3, 1, 2}, "[1, 2, 3]"),
        (Path("a/b"), "a/b"),
        ({}, "{}"),
    ],
)
def test_what_a_leaf_becomes(value: object, flat: object) -> None:
    assert flatten_parameters({"x": value}) == {"x": flat}
    json.dumps(flatten_parameters({"x": value}), allow_nan=False)


@pytest.mark.parametrize(
    "name", ["auroc.mean", "a:b", "é µ", "a/../b", "/a//b/", "", ".", "..", "50 %", "x" * 300, "(near) & far", "a\nb"]
)
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    _validate_metric_name(valid_name(name))
    assert 0 < len(valid_name(name)) <= MAX_ENTITY_KEY_LENGTH


def test_a_valid_name_stays() -> None:
    assert valid_name("auroc.textures-1/x y_z") == "auroc.textures-1/x y_z"


def test_a_long_value_is_cut_and_says_so() -> None:
    text = parameter_text("x" * 10_000)
    assert len(text) == MAX_PARAM_VAL_LENGTH
    assert text.endswith("(cut; 10000 characters)")


def test_metrics_without_a_finite_value_are_left_out() -> None:
    metrics = {"a": 1.0, "b": float("nan"), "c": None, "d": float("-inf"), "e:f": 0}
    assert finite_metrics(metrics) == {"a": 1.0, "e_f": 0.0}
