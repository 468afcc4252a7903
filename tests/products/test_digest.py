"""Fingerprints: equal for equal content, different for other content, and never of what does not belong into them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from scaling_ood.products.keys import digest


@dataclass(frozen=True)
class Record:
    width: int
    options: dict[str, int]


def test_digest_is_the_start_of_the_sha256_of_canonical_json() -> None:
    text = json.dumps([{"a": 1, "b": [2, None]}, "c"], sort_keys=True, separators=(",", ":"))
    assert digest({"b": (2, None), "a": 1}, "c") == sha256(text.encode()).hexdigest()[:20]


def test_digest_is_equal_in_another_process() -> None:
    code = "from scaling_ood.products.keys import digest; print(digest({'b': 1, 'a': [2.5, None]}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest({"a": [2.5, None], "b": 1})


def test_digest_ignores_the_order_of_keys_at_any_depth() -> None:
    assert digest({"a": {"x": 1, "y": 2}, "b": 3}) == digest({"b": 3, "a": {"y": 2, "x": 1}})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [2, 1]),
        ("1", 1),
        (None, False),
        (0.1, 0.1000001),
        (Record(1, {"a": 1}), Record(1, {"a": 2})),
    ],
)
def test_digest_tells_different_content_apart(one: object, other: object) -> None:
    assert digest(one) != digest(other)


def test_digest_tells_one_ingredient_from_two() -> None:
    assert digest("a", "b") != digest("ab")
    assert digest(["a"], "b") != digest("a", ["b"])


def test_digest_of_a_dataclass_is_that_of_its_content() -> None:
    assert digest(Record(1, {"b": 2})) == digest({"width": 1, "options": {"b": 2}})


def test_digest_of_an_array_depends_on_values_type_and_shape() -> None:
    array = np.arange(6, dtype=np.int32)
    others = [array.reshape(2, 3), array.astype(np.int64), array[::-1], np.arange(5, dtype=np.int32)]
    assert len({digest(array), *map(digest, others)}) == 5


def test_digest_of_an_array_ignores_its_memory_order() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert digest(array) == digest(np.asfortranarray(array))
    assert digest(array[:, 1]) == digest(array[:, 1].copy())


def test_digest_of_a_numpy_number_is_that_of_the_number() -> None:
    assert digest(np.int64(3), np.float64(0.5), np.bool_(True)) == digest(3, 0.5, True)


@pytest.mark.parametrize(
    "thing", [Path("data"), {1, 2}, object(), torch.ones(2), np.array([object()]), b"bytes", Record, len]
)
def test_digest_refuses_what_has_no_plain_content(thing: object) -> None:
    with pytest.raises(TypeError, match="cannot be part of a key: give its plain content instead"):
        digest({"inside": [thing]})
