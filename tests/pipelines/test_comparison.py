"""The comparison as it is wired: in any environment, with whatever has been run."""

import json
from pathlib import Path

import pandas as pd
import pytest
from comparison.fabricated import results
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner
from scaling_ood.comparison import TABLES, published_numbers

from scaling_ood.pipelines.comparison import create_pipeline
from scaling_ood.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[2] / "conf"
TABLES_FOLDER = "data/08_reporting/tables"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the comparison in an empty project, with the real catalog."""
    monkeypatch.chdir(tmp_path)

    def run_it(environment="base"):
        entries = OmegaConfigLoader(str(CONF), env=environment, **CONFIG_LOADER_ARGS)["catalog"]
        pipeline = create_pipeline()
        catalog = DataCatalog.from_config({name: entries[name] for name in pipeline.datasets()})
        SequentialRunner().run(pipeline, catalog)
        return tmp_path / TABLES_FOLDER

    return run_it


def leave(path, content):
    path = Path("data") / path
    path.parent.mkdir(parents=True, exist_ok=True)
    content.to_csv(path, index=False) if isinstance(content, pd.DataFrame) else path.write_text(json.dumps(content))


ENVIRONMENTS = sorted(folder.name for folder in CONF.iterdir() if (folder / "globals.yml").is_file())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_has_its_entries(environment):
    entries = OmegaConfigLoader(str(CONF), env=environment, **CONFIG_LOADER_ARGS)["catalog"]
    assert create_pipeline().datasets() <= entries.keys()


def test_before_anything_has_run_all_tables_are_written_with_gaps(run):
    folder = run()
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "comparison.csv",
        "tables.html",
        "tables.md",
        "tables.tex",
        *(f"table_{number}.csv" for number in TABLES),
    }
    frame = pd.read_csv(folder / "comparison.csv")
    assert frame["ours"].isna().all()
    assert "kedro run --env imagenet_1k" in (folder / "tables.html").read_text()


def test_what_has_run_is_collected_from_all_layers(run):
    street = results(("streethazards",))
    leave("08_reporting/streethazards/segmentation/results.csv", street)
    leave("08_reporting/streethazards/segmentation/msp/results.csv", street.assign(auroc=0.0))
    leave("08_reporting/places365/multi_class/results.csv", results(("places365",)).drop(columns="gap"))
    leave("07_model_output/voc/multi_label/accuracy.json", {"map": 0.8911})
    leave("07_model_output/miniature/multi_class/accuracy.json", {"top1": {"fine_seed0": 0.6}})
    leave(
        "02_manifests/streethazards/segmentation/preparation.json", {"images": {"train": 5125}, "anomalous_share": 0.1}
    )
    manifest = Path("data/02_manifests/species_tresnet_m/multi_class/manifest.parquet")
    manifest.parent.mkdir(parents=True)
    species = {"id": ["a", "b"], "image_set": ["fish", "fish"], "class_name": ["cod", "eel"]}
    pd.DataFrame(species).to_parquet(manifest)
    frame = pd.read_csv(run("samples") / "comparison.csv")
    measured = frame[frame["ours"].notna()]
    assert measured.groupby("benchmark").size().to_dict() == {
        "places365": 9 + 72 + 3,
        "species_tresnet_m": 1,
        "streethazards": 19,
        "voc": 1,
    }
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
