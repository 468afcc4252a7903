"""Plain arrays come back whoever wrote them; anything else is refused before it is imported."""

import io
import pickle
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


def test_an_object_inside_an_array_is_refused_too():
    content = pickle.dumps(np.array([pytest], dtype=object)[:0], 2)
    assert restored(content).dtype == object

    class Anything:
        def __reduce__(self):
            return (print, ("called",))

    with pytest.raises(pickle.UnpicklingError, match=r"print, which is refused"):
        restored(pickle.dumps(np.array([Anything()], dtype=object), 2))
