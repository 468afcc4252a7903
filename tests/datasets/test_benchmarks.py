import json

import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError

from scaling_ood.datasets import BenchmarksDataset, RecordedDataset
from scaling_ood.products.keys import Origin
from scaling_ood.products.scores import Quality


@pytest.fixture
def layer(tmp_path):
    for place in ("zoo/multi_class", "art/segmentation", "art/segmentation/msp", "tables"):
        (tmp_path / place).mkdir(parents=True)
        pd.DataFrame({"place": [place]}).to_csv(tmp_path / place / "results.csv", index=False)
    return tmp_path


def dataset(layer, **options):
    return BenchmarksDataset(filepath=str(layer), **({"name": "results.csv", "dataset": "pandas.CSVDataset"} | options))


def test_it_finds_the_product_of_each_benchmark_and_setting_and_of_no_detector(layer):
    loaded = dataset(layer).load()
    assert list(loaded) == ["art/segmentation", "zoo/multi_class"]
    assert loaded["zoo/multi_class"]()["place"].tolist() == ["zoo/multi_class"]


def test_nothing_is_read_before_it_is_asked_for(layer):
    (layer / "zoo/multi_class/results.csv").write_bytes(b"\xff\xfe\x00")
    loaded = dataset(layer).load()
    assert loaded["art/segmentation"]()["place"].tolist() == ["art/segmentation"]
    with pytest.raises(DatasetError):
        loaded["zoo/multi_class"]()


def test_it_is_empty_where_nothing_has_run_and_never_missing(tmp_path):
    for folder in (tmp_path, tmp_path / "not_there"):
        assert dataset(folder).load() == {}
        assert dataset(folder).exists()


def test_options_reach_the_data_set_that_reads(layer):
    definition = {"type": "pandas.CSVDataset", "load_args": {"names": ["renamed"], "header": 0}}
    assert list(dataset(layer, dataset=definition).load()["zoo/multi_class"]()) == ["renamed"]


def test_it_can_be_declared_in_a_catalog(layer):
    (layer / "zoo/multi_class/accuracy.json").write_text(json.dumps({"map": 0.5}))
    entry = {
        "type": "scaling_ood.datasets.BenchmarksDataset",
        "filepath": str(layer),
        "name": "accuracy.json",
        "dataset": "json.JSONDataset",
    }
    catalog = DataCatalog.from_config({"all_accuracies": entry})
    assert catalog.load("all_accuracies")["zoo/multi_class"]() == {"map": 0.5}


def test_it_refuses_to_write(layer):
    with pytest.raises(DatasetError, match="read only"):
        dataset(layer).save({})


def test_it_finds_products_of_networks_that_are_folders(tmp_path):
    quality = Quality("miou", 0.5, origin=Origin("check_quality"))
    RecordedDataset(filepath=str(tmp_path / "art/segmentation/segmenter/quality")).save(quality)
    found = dataset(tmp_path, name="*/quality", dataset="scaling_ood.datasets.RecordedDataset").load()
    assert {name: load() for name, load in found.items()} == {"art/segmentation/segmenter": quality}
