"""What ends a run before it starts, and what a person reads when one fails."""

import io
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro_datasets.json import JSONDataset
from scaling_ood.plans import StaleProductError

from scaling_ood import structure
from scaling_ood.datasets import (
    CheckpointDataset,
    DamagedPartError,
    ImageRootDataset,
    ProvidedFileDataset,
    ShardsDataset,
)
from scaling_ood.hooks import ProjectHooks

PROJECT = Path(__file__).parents[1]


def combine(*_: Any) -> str:
    return "made"


def test_results_are_drawn_with_what_the_terminal_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    reporting = Pipeline([Node(combine, "msp", ["multi_class.report", "multi_class.summary"], name="write_report")])
    made = {"multi_class.report": MemoryDataset("page"), "multi_class.summary": MemoryDataset("msp 83.1 ─●─")}
    shown = {}
    for encoding in ("ascii", "utf-8"):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
        ProjectHooks().after_pipeline_run(pipeline=reporting, catalog=DataCatalog(made))
        sys.stdout.flush()
        shown[encoding] = written.getvalue().decode(encoding)
    assert "msp 83.1 -o-" in shown["ascii"]
    assert "msp 83.1 ─●─" in shown["utf-8"]


def scoring() -> Pipeline:
    inputs = ["multi_class.model", "multi_class.preparation", "params:multi_class.model"]
    return Pipeline([Node(combine, inputs, "multi_class.outputs", name="extract")])


def preparing() -> Pipeline:
    return Pipeline([Node(combine, ["data_root", "params:runtime"], "multi_class.manifest", name="prepare")])


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    return DataCatalog(
        {
            "multi_class.model": CheckpointDataset(filepath=str(tmp_path / "model")),
            "multi_class.preparation": JSONDataset(filepath=str(tmp_path / "preparation.json")),
            "multi_class.outputs": ShardsDataset(filepath=str(tmp_path / "outputs")),
            "params:multi_class.model": MemoryDataset({}),
            "params:runtime": MemoryDataset({}),
            "data_root": ImageRootDataset(filepath=str(tmp_path / "photographs")),
        }
    )


@pytest.fixture
def photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bind a setting with two sets of photographs in one folder, one in another, and noise."""
    setting = {
        "identity": {"setting": "multi_class", "benchmark": "toy"},
        "data_sets": {
            "cats": {"source": "photographs", "layout": "class_folders", "folder": "pets"},
            "dogs": {"source": "photographs", "layout": "class_folders", "folder": "pets"},
            "cars": {"source": "photographs", "layout": "class_folders", "folder": "cars"},
            "ships": {"source": "photographs", "layout": "class_folders", "folder": "unused"},
            "static": {"source": "noise", "recipe": "gaussian"},
        },
        "data": {
            "in_dist": "cats",
            "ood": ["dogs", "cars", "static"],
            "train": {"split": "all", "per_class": 1},
            "fit": {"split": "all", "per_class": 1},
            "test": {"split": "all"},
        },
        "model": {"architecture": "small_resnet", "training": "network"},
        "networks": {},
        "extraction": {},
        "detectors": {"msp": {}},
        "reporting": {},
    }
    monkeypatch.setattr(structure, "_bound", {"parameters": {"multi_class": setting}})


def message(pipeline: Pipeline, catalog: DataCatalog, **run_params: Any) -> str:
    hooks = ProjectHooks()
    hooks.environment = run_params.pop("env", None)
    with pytest.raises(click.ClickException) as caught:
        hooks.before_pipeline_run(run_params, pipeline, catalog)
    return caught.value.message


def test_all_missing_products_are_told_in_one_message_with_place_and_command(
    catalog: DataCatalog, tmp_path: Path
) -> None:
    assert message(scoring(), catalog).splitlines() == [
        "Some inputs are missing; nothing was run.",
        f"- multi_class.model ({tmp_path / 'model'}): kedro run --to-outputs multi_class.model",
        f"- multi_class.preparation ({tmp_path / 'preparation.json'}): kedro run --to-outputs multi_class.preparation",
    ]


def test_the_command_repeats_environment_and_parameters(catalog: DataCatalog) -> None:
    told = message(scoring(), catalog, env="samples", runtime_params={"data_root": "photos", "device": "cpu"})
    command = "kedro run --to-outputs multi_class.model --env samples --params data_root=photos,device=cpu"
    assert command in told.splitlines()[1]


def test_the_default_environment_is_not_part_of_the_command(catalog: DataCatalog) -> None:
    assert "--env" not in message(scoring(), catalog, env="local")


def test_only_what_is_missing_is_told(catalog: DataCatalog) -> None:
    catalog["multi_class.preparation"].save({})
    told = message(scoring(), catalog)
    assert "multi_class.model" in told
    assert "preparation" not in told


def test_a_half_finished_product_counts_as_missing(catalog: DataCatalog, tmp_path: Path) -> None:
    catalog["multi_class.preparation"].save({})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "state.pt").write_bytes(b"of the last whole epoch")
    assert "multi_class.model" in message(scoring(), catalog)


def test_what_the_run_makes_itself_is_not_missing(catalog: DataCatalog) -> None:
    make = Node(combine, "params:multi_class.model", "multi_class.model", name="train")
    catalog["multi_class.preparation"].save({})
    ProjectHooks().before_pipeline_run({}, Pipeline([make]) + scoring(), catalog)


@pytest.mark.usefixtures("photographs")
def test_missing_folders_of_photographs_are_told_with_every_set_that_needs_them_and_the_remedy(
    catalog: DataCatalog, tmp_path: Path
) -> None:
    told = message(preparing(), catalog)
    for folder in ("pets", "cars"):
        assert str(tmp_path / "photographs" / folder) in told
    for name in ("cats", "dogs", "cars"):
        assert name in told
    assert "ships" not in told
    assert "static" not in told
    assert "make samples" in told
    assert "--params data_root=DIR" in told


@pytest.mark.usefixtures("photographs")
def test_a_run_over_photographs_that_are_there_is_let_through(catalog: DataCatalog, tmp_path: Path) -> None:
    for folder in ("pets", "cars"):
        (tmp_path / "photographs" / folder).mkdir(parents=True)
    ProjectHooks().before_pipeline_run({}, preparing(), catalog)
    (tmp_path / "photographs" / "cars").rmdir()
    assert "pets" not in message(preparing(), catalog)


@pytest.mark.usefixtures("photographs")
def test_photographs_are_not_asked_for_where_the_run_reads_none(catalog: DataCatalog) -> None:
    catalog["multi_class.preparation"].save({})
    assert "make samples" not in message(scoring(), catalog)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a share"),
        FileNotFoundError("no folder"),
        DamagedPartError("damaged"),
        StaleProductError("stale"),
    ],
)
def test_what_a_person_can_put_right_becomes_its_message_alone(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCALING_OOD_TRACEBACK", raising=False)
    with pytest.raises(click.ClickException) as caught:
        ProjectHooks().on_node_error(error)
    assert caught.value.message == str(error)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyError("x"), AttributeError("x"), AssertionError("x"), TypeError("x")])
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    ProjectHooks().on_node_error(error)
    ProjectHooks().on_pipeline_error(error)
    wrapped = DatasetError("Failed while saving")
    wrapped.__cause__ = error
    ProjectHooks().on_pipeline_error(wrapped)


def test_the_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_OOD_TRACEBACK", "1")
    ProjectHooks().on_node_error(ValueError("a share"))


def test_an_error_while_a_plan_is_carried_out_becomes_its_message_alone(tmp_path: Path) -> None:
    from scaling_ood.plans import Part, Plan

    def produce(_: object) -> Any:
        raise ValueError("x.png was readable when the data was prepared")
        yield

    with pytest.raises(DatasetError) as failed:
        ShardsDataset(filepath=str(tmp_path)).save(Plan("key", [Part("a", 1)], produce))
    with pytest.raises(click.ClickException) as caught:
        ProjectHooks().on_pipeline_error(failed.value)
    assert caught.value.message == "x.png was readable when the data was prepared"


def test_an_error_that_is_a_message_already_is_left_alone() -> None:
    ProjectHooks().on_pipeline_error(click.ClickException("told"))


@pytest.mark.slow
def test_on_the_command_line_missing_inputs_end_in_one_message_before_any_node_and_any_tracked_run(
    tmp_path: Path,
) -> None:
    for name in ("conf", "src"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(PROJECT / name, tmp_path / name)
    for name in ("credentials.yml", "parameters.yml", "globals.yml", "catalog.yml"):
        (tmp_path / "conf" / "local" / name).unlink(missing_ok=True)
    command = [sys.executable, "-m", "kedro", "run", "--pipelines", "score_extraction"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    told = (ended.stdout + ended.stderr).split("Error: ", 1)[1]
    assert told.splitlines()[0] == "Some inputs are missing; nothing was run."
    for product in ("manifest", "model", "preparation"):
        assert f"kedro run --to-outputs multi_class.{product}\n" in told
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (tmp_path / "data").exists()
    if (tmp_path / "mlflow.db").exists():
        with sqlite3.connect(tmp_path / "mlflow.db") as store:
            assert store.execute("SELECT count(*) FROM runs").fetchone() == (0,)


def test_a_missing_set_of_the_paper_is_told_with_source_terms_and_place(
    catalog: DataCatalog, tmp_path: Path, photographs: None
) -> None:
    library = structure._bound["parameters"]["multi_class"]["data_sets"]
    library["cats"] |= {"layout": "imagenet_21k_p", "folder": "imagenet21k"}
    library["dogs"] |= {"folder": "species/Fish"}
    library["cars"] |= {"layout": "dtd", "folder": "dtd"}
    told = message(preparing(), catalog)
    root = catalog["data_root"].load()
    assert f"no folder {root}/species/Fish, for multi_class dogs" in told
    assert "Terms: none stated; images from iNaturalist, each under its photographer's licence" in told
    assert "ImageNet's terms of access: non-commercial research and education only" in told
    assert f"Lay it out below {root}:\n    imagenet21k/imagenet21k_val/<wnid>/*" in told
    assert "dtd: python -m scaling_ood.downloads paper --only dtd. Terms: Describable Textures Dataset: for res" in told


def test_missing_weights_that_are_got_by_hand_are_told_with_their_source(tmp_path: Path) -> None:
    place = tmp_path / "raw/weights/resnet50_places365.pth.tar"
    catalog = DataCatalog({"multi_class.checkpoint": ProvidedFileDataset(filepath=str(place))})
    adopt = Pipeline([Node(lambda weights: weights, "multi_class.checkpoint", "multi_class.model", name="adopt")])
    told = message(adopt, catalog)
    assert "name the file that holds them: --params checkpoint=FILE" in told
    assert "http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar" in told
    assert f"Lay it out below {tmp_path / 'raw'}" in told


def reading_weights(path: Path) -> tuple[Pipeline, DataCatalog]:
    node = Node(combine, "multi_class.checkpoint", "multi_class.model", name="adopt")
    return Pipeline([node]), DataCatalog({"multi_class.checkpoint": ProvidedFileDataset(filepath=str(path))})


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"<html>", "it is a web page"), (b"", "it is empty"), (None, "it is a folder. Name the file of weights in it")],
)
def test_weights_that_nothing_can_read_end_the_run_before_any_work(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path = tmp_path / "weights.pth"
    path.mkdir() if content is None else path.write_bytes(content)
    lines = message(*reading_weights(path)).splitlines()
    assert lines[0] == "Some inputs cannot be used; nothing was run."
    assert lines[1].startswith(
        f"- multi_class.checkpoint ({path}): weights.pth is no checkpoint that can be read: {told}"
    )


def test_a_checkpoint_that_is_missing_is_told_with_the_parameter(tmp_path: Path) -> None:
    assert "--params checkpoint=FILE" in message(*reading_weights(tmp_path / "weights.pth"))


@pytest.mark.usefixtures("photographs")
def test_a_file_in_place_of_the_folder_of_photographs(catalog: DataCatalog, tmp_path: Path) -> None:
    (tmp_path / "photographs").write_text("")
    told = message(preparing(), catalog)
    assert f"data_root: {tmp_path / 'photographs'} is a file; name the folder" in told


@pytest.mark.parametrize(
    "text",
    [
        "DataLoader worker (pid 7) is killed by signal: Bus error.",
        "unable to write to file </torch_29919_1380857426_0>: No space left on device (28)",
        "unable to allocate shared memory(shm) for file </torch_30603_1696564530_1>:",
        "Caught RuntimeError in worker process 0.\nunable to open shared memory object </torch_7> in read-write",
    ],
)
def test_a_small_shared_memory_is_told_with_the_remedy(text: str) -> None:
    with pytest.raises(click.ClickException, match=r"/dev/shm has .*--params runtime\.workers=0"):
        ProjectHooks().on_node_error(RuntimeError(text))


def test_an_error_that_kedro_wraps_twice_becomes_its_message_alone() -> None:
    error = DatasetError("multi_class.model: Failed while saving")
    error.__cause__ = DatasetError("Failed while saving")
    error.__cause__.__cause__ = ArithmeticError("training diverged")
    with pytest.raises(click.ClickException, match=r"^training diverged$"):
        ProjectHooks().on_pipeline_error(error)
