"""The comparison with the paper as it is wired: the real catalog, any environment, whatever has been run."""

from pathlib import Path

import pandas as pd
import pytest
from environments import BENCHMARKS
from helpers.fabricated_scores import prepared
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner
from report.paper.fabricated import results

from scaling_ood.datasets import RecordedDataset
from scaling_ood.pipelines.comparison import create_pipeline
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Quality
from scaling_ood.report.paper import TABLES, published_numbers
from scaling_ood.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[2] / "conf"


def entries_of(environment):
    return OmegaConfigLoader(str(CONF), env=environment, **CONFIG_LOADER_ARGS)["catalog"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the comparison in an empty project, with the real catalog."""
    monkeypatch.chdir(tmp_path)

    def run_it(environment="miniature"):
        pipeline, entries = create_pipeline(), entries_of(environment)
        catalog = DataCatalog.from_config({name: entries[name] for name in pipeline.datasets()})
        SequentialRunner().run(pipeline, catalog)
        return tmp_path / "data/08_reporting/tables"

    return run_it


def leave(place, content):
    path = Path("data") / place
    if isinstance(content, pd.DataFrame):
        path.parent.mkdir(parents=True, exist_ok=True)
        content.to_csv(path, index=False)
    else:
        RecordedDataset(filepath=str(path)).save(content)


@pytest.mark.parametrize("environment", ["base", *BENCHMARKS])
def test_every_environment_has_its_entries(environment):
    assert create_pipeline().datasets() <= entries_of(environment).keys()


def test_before_anything_has_run_all_tables_are_written_with_gaps(run):
    folder = run()
    written = {path.name for path in folder.iterdir()}
    pages = {"comparison.csv", "tables.html", "tables.md", "tables.tex"}
    assert written == pages | {f"table_{number}.csv" for number in TABLES}
    assert pd.read_csv(folder / "comparison.csv")["ours"].isna().all()
    assert "kedro run --env imagenet_1k" in (folder / "tables.html").read_text()


def test_what_has_run_is_collected_from_all_layers(run):
    street = results(("streethazards",))
    leave("08_reporting/streethazards/segmentation/results.csv", street)
    leave("08_reporting/streethazards/segmentation/measured/msp/results.csv", street.assign(auroc=0.0))
    leave("08_reporting/places365/multi_class/results.csv", results(("places365",)).drop(columns="gap"))
    leave("07_model_output/voc/multi_label/classifier/quality", Quality("map", 0.8911))
    leave("07_model_output/streethazards/segmentation/autoencoder/quality", Quality("reconstruction_error", 0.08))
    leave("07_model_output/miniature/multi_class/classifier/quality", Quality("top1", 0.6))
    species = pd.DataFrame({"id": ["a", "b"], "image_set": "fish", "class_name": ["cod", "eel"], "path": ["a", "b"]})
    leave("02_manifests/species_tresnet_m/multi_class/manifest", Manifest(species, prepared()))
    frame = pd.read_csv(run("samples") / "comparison.csv")
    measured = frame[frame["ours"].notna()]
    found = measured.groupby("benchmark").size().to_dict()
    assert found.keys() == {"places365", "species_tresnet_m", "streethazards", "voc"}
    assert found["voc"] == found["species_tresnet_m"] == 1
    assert measured.loc[measured["metric"] == "map", "ours"].item() == pytest.approx(89.11)
    assert (measured.loc[measured["benchmark"] == "streethazards", "ours"] > 0).all()


def test_a_second_run_replaces_the_first(run):
    folder = run()
    leave("08_reporting/voc/multi_label/results.csv", results(("voc",)))
    run()
    frame = pd.read_csv(folder / "comparison.csv")
    assert len(frame) == len(published_numbers()) + len(published_numbers("6"))
    assert set(frame.loc[frame["ours"].notna(), "benchmark"]) == {"voc"}
    assert "81.5" in (folder / "table_3.csv").read_text()
