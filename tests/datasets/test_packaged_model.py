"""The model's folder is complete whether or not MLflow takes it."""

import mlflow
import pytest
from helpers.fixtures import toys
from kedro.io import DatasetError

from scaling_ood.datasets import PackagedModelDataset
from scaling_ood.products.packages import RESULTS
from scaling_ood.tasks.packing import pack
from scaling_ood.tracking.underway import underway

__all__ = ["toys"]


@pytest.fixture
def package(benches):
    own = benches("multi_class")
    packaging = own.spec.packaging.model_copy(update={"false_alarm_rate": 0.25})
    spec = own.spec.model_copy(update={"packaging": packaging})
    return pack(
        own.task, spec, own.manifest, own.model(), own.outputs(), own.load("max_logit.scores"), own.load("results")
    )


def test_a_store_that_takes_nothing_leaves_a_model_that_can_be_served(package, tmp_path, monkeypatch, caplog):
    dataset = PackagedModelDataset(filepath=str(tmp_path / "toy/package"))
    with pytest.raises(DatasetError):
        dataset.load()
    monkeypatch.setattr(mlflow, "start_run", lambda **_: (_ for _ in ()).throw(OSError("nobody answers")))
    underway.begin()
    dataset.save(package)
    underway.begin()
    folder = tmp_path / "toy/package"
    assert "MLflow did not take the model (OSError: nobody answers). It can be served from its folder" in caplog.text
    assert dataset.load() == {"folder": str(folder), "name": package.name, "version": "", "uri": ""}
    assert (folder / "artifacts/package" / RESULTS).is_file()
    model = mlflow.pyfunc.load_model(str(folder))
    example = model.input_example
    assert len(model.predict(example)) == len(example) == 1
    assert sorted(path.name for path in (tmp_path / "toy").iterdir()) == ["package", "package.json"]
