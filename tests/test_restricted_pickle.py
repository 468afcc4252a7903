"""Plain arrays come back whoever wrote them; anything else is refused before it is imported."""

import io
import pickle
import resource
import sys

import numpy as np
import pytest
from python2_pickles import Call, Global, python2_pickle

from scaling_ood.restricted_pickle import NUMPY, restricted_unpickler

ARRAY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def restored(content, **options):
    return restricted_unpickler(NUMPY)(io.BytesIO(content), **options).load()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("array", [ARRAY, np.array([[1.5, -2.0]]), np.zeros((0, 3), np.int64)])
def test_arrays_of_python_2_come_back(array):
    content = python2_pickle({"data": array, "label": "x" * 300})
    back = restored(content, encoding="latin1")
    assert back["data"].dtype == array.dtype
    np.testing.assert_array_equal(back["data"], array)
    assert back["label"] == pickle.loads(content, encoding="latin1")["label"] == "x" * 300


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_of_python_3_come_back(protocol):
    np.testing.assert_array_equal(restored(pickle.dumps(ARRAY, protocol)), ARRAY)


def test_other_names_are_refused_without_an_import():
    sys.modules.pop("this", None)
    content = python2_pickle([ARRAY, Call(Global("this", "d"), ())])
    with pytest.raises(pickle.UnpicklingError, match=r"it wants to build this\.d, which is refused"):
        restored(content, encoding="latin1")
    assert "this" not in sys.modules


@pytest.mark.parametrize("name", [("os", "system"), ("builtins", "eval"), ("numpy", "load")])
def test_calls_are_refused(name):
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        restored(python2_pickle(Call(Global(*name), ("true",))))


def test_objects_in_arrays_are_refused():
    class Anything:
        def __reduce__(self):
            return (print, ("called",))

    with pytest.raises(pickle.UnpicklingError, match=r"print, which is refused|array of O8"):
        restored(pickle.dumps(np.array([Anything()], dtype=object), 2))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Call(Global("numpy", "ndarray"), ((1,), "O", "\1" * 8)), id="bytes as addresses of objects"),
        pytest.param(Call(Global("numpy", "ndarray"), ((10**6, 10**5),)), id="93 GiB"),
        pytest.param(Call(Global("numpy", "dtype"), ("O", 0, 1), (3, "|", None, None, None, -1, -1, 0)), id="object"),
        pytest.param(Call(Global("numpy", "dtype"), ("V8", 0, 1)), id="structure"),
        pytest.param(Call(Global("numpy", "dtype"), ("(9,9)f8", 0, 1)), id="array of arrays"),
        pytest.param(
            Call(Global("numpy.core.multiarray", "_reconstruct"), (Global("numpy", "ndarray"), (10**9,), b"b")),
            id="an array that is not empty at first",
        ),
        pytest.param(
            Call(
                Global("numpy.core.multiarray", "_reconstruct"),
                (Global("numpy", "ndarray"), (0,), b"b"),
                (1, (10**9,), Call(Global("numpy", "dtype"), ("f8", 0, 1)), False, b"\0" * 8),
            ),
            id="more numbers than bytes",
        ),
        pytest.param(
            Call(Global("numpy.core.multiarray", "scalar"), (Global("numpy", "ndarray"), b"\0" * 8)), id="no type"
        ),
    ],
)
def test_arrays_that_numpy_would_not_write_are_refused(value):
    with pytest.raises(pickle.UnpicklingError, match=r"^it (holds|builds|is damaged)"):
        restored(python2_pickle(value))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"\x80\x02X\xff", b"\x80\x02}r\xff\xff\xff\x7f.", b"\x80\x04\x8d" + b"\xff" * 8],
    ids=["empty", "cut in the head", "cut in a length", "the largest number of an object", "the largest length"],
)
def test_damage_is_told_in_little_memory(content):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if content.endswith(b"\x7f."):
        assert restored(content) == {}
    else:
        with pytest.raises(pickle.UnpicklingError, match=r"damaged|truncated|exceeds"):
            restored(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 50_000
