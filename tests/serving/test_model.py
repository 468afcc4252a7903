"""The pyfunc model, in this process: what rows it takes, and what it says of those that it does not."""

import base64
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from scaling_ood.parameters.packaging import PackagingSpec
from scaling_ood.products.packages import write_package
from scaling_ood.serving.model import ARTIFACT, DEVICE, ROOT, PackagedDetector
from scaling_ood.tasks.packing import pack


@pytest.fixture(scope="module")
def package(tmp_path_factory, benches):
    from helpers.toys import registered

    own = benches("multi_class")
    packaging = PackagingSpec(detector="energy", false_alarm_rate=0.25, most_images=3, most_megapixels=0.01)
    spec = own.spec.model_copy(update={"packaging": packaging})
    folder = tmp_path_factory.mktemp("packed") / "package"
    with registered():
        products = (own.model(), own.outputs(), own.load("energy.scores"), own.load("results"))
        write_package(pack(own.task, spec, own.manifest, *products), folder)
    return folder


@pytest.fixture
def photographs(benches):
    own = benches("multi_class")
    return own.photographs, [file.path for file in own.manifest.files(own.manifest.of("test"))][:3]


@pytest.fixture
def opened(package, monkeypatch):
    monkeypatch.setenv(DEVICE, "cpu")
    monkeypatch.delenv(ROOT, raising=False)

    def open_package():
        model = PackagedDetector()
        model.load_context(SimpleNamespace(artifacts={ARTIFACT: str(package)}))
        return model

    return open_package


def refusal(model, given):
    with pytest.raises(MlflowException) as caught:
        model.predict(None, given)
    assert caught.value.get_http_status_code() == 400
    return caught.value.message


def test_bytes_base64_arrays_and_paths_get_the_same_answer(opened, photographs, monkeypatch):
    root, files = photographs
    monkeypatch.setenv(ROOT, str(root))
    model = opened()
    contents = [Path(file).read_bytes() for file in files]
    forms = {
        "bytes": contents,
        "text": [base64.b64encode(each).decode() for each in contents],
        "arrays": [np.asarray(Image.open(file).convert("RGB")) for file in files],
        "lists": [np.asarray(Image.open(file).convert("RGB")).tolist() for file in files],
    }
    answers = {name: model.predict(None, pd.DataFrame({"image": values})) for name, values in forms.items()}
    answers["paths"] = model.predict(
        None, pd.DataFrame({"path": [str(Path(file).relative_to(root)) for file in files]})
    )
    for each in answers.values():
        pd.testing.assert_frame_equal(each, answers["bytes"])
    assert list(answers["bytes"].columns) == ["class", "class_index", "score", "is_anomaly"]


def test_all_rows_that_cannot_be_answered_are_told_at_once(opened, photographs):
    good = Path(photographs[1][0]).read_bytes()
    told = refusal(opened(), pd.DataFrame({"image": [b"", good, "http://localhost/a.png"]}))
    assert told.startswith("row 0 is empty")
    assert "row 2 is an address: nothing is ever fetched" in told
    assert "row 1" not in told


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (pd.DataFrame(), "rows must have a column 'image'"),
        (pd.DataFrame({"picture": ["a"]}), "these have picture"),
        (np.zeros((2, 2)), "this is ndarray"),
        ({"image": "a"}, "this is dict"),
        (pd.DataFrame({"image": []}), "a request has 1 to 3 rows, not 0"),
        (pd.DataFrame({"image": ["a"] * 4}), "a request has 1 to 3 rows, not 4"),
        (pd.DataFrame({"image": [None]}), "row 0 has no image"),
        (pd.DataFrame({"image": [np.nan], "path": [None]}), "row 0 has no image"),
        (pd.DataFrame({"image": ["a"], "path": ["b"]}), "row 0 has image and path"),
        (pd.DataFrame({"path": ["/etc/passwd"]}), "no folder is allowed here"),
        (pd.DataFrame({"image": [np.zeros((200, 100), np.uint8)]}), "more than 0.01 million"),
    ],
)
def test_wrong_requests_are_the_clients_error(opened, given, why):
    assert why in refusal(opened(), given)


def test_what_breaks_inside_is_not_told_to_the_client(opened, monkeypatch, caplog):
    model = opened()
    monkeypatch.setattr(model.deployed, "answers", lambda images: 1 / 0)
    with pytest.raises(MlflowException) as caught:
        model.predict(None, pd.DataFrame({"image": [np.zeros((8, 8), np.uint8)]}))
    assert caught.value.get_http_status_code() == 500
    assert caught.value.message == "the request could not be answered"
    assert "ZeroDivisionError" in caplog.text
