"""What ends a run before it starts."""

import io
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from scaling_ood import structure
from scaling_ood.datasets import (
    CheckpointDataset,
    ImageRootDataset,
    ProvidedFileDataset,
    RecordedDataset,
    ReportDataset,
    ShardsDataset,
)
from scaling_ood.hooks import ProjectHooks
from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.tracking.underway import underway


def combine(*_: Any) -> str:
    return "made"


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A benchmark with two sets of photographs in one folder, one in another, and noise."""
    cats = {"source": "photographs", "layout": "class_folders", "folder": "pets"}
    parameters: dict[str, Any] = {
        "benchmark": "toy",
        "data_sets": {
            "cats": cats,
            "dogs": dict(cats),
            "cars": {**cats, "folder": "cars"},
            "ships": {**cats, "folder": "unused"},
            "static": {"source": "noise", "recipe": "gaussian"},
        },
        "multi_class": {
            "data": {
                "in_dist": "cats",
                "ood": ["dogs", "cars", "static"],
                "train": {"split": "all", "per_class": 1},
                "fit": {"split": "all", "per_class": 1},
                "test": {"split": "all"},
            },
            "networks": {"classifier": {"architecture": "small_resnet", "weights": "trained"}},
            "detectors": {"msp": {}},
        },
    }
    monkeypatch.setattr(structure, "_bound", {"parameters": parameters})
    return parameters


def test_results_are_drawn_with_what_the_terminal_can_show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(underway, "problem", "")
    reporting = Pipeline([Node(combine, "msp", "multi_class.report", name="draw_report")])
    catalog = DataCatalog({"multi_class.report": ReportDataset(filepath=str(tmp_path))})
    catalog["multi_class.report"].save({"report.html": "page", "results.txt": "msp 83.1 ─●─"})
    shown = {}
    for encoding in ("ascii", "utf-8"):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
        ProjectHooks().after_pipeline_run(pipeline=reporting, catalog=catalog)
        sys.stdout.flush()
        shown[encoding] = written.getvalue().decode(encoding)
    assert "msp 83.1 -o-" in shown["ascii"]
    assert "msp 83.1 ─●─" in shown["utf-8"]
    assert "(make ui)" in shown["utf-8"]


def test_a_store_that_did_not_take_the_runs_is_not_where_to_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(underway, "problem", "no answer")
    reporting = Pipeline([Node(combine, "msp", "multi_class.report", name="draw_report")])
    catalog = DataCatalog({"multi_class.report": ReportDataset(filepath=str(tmp_path))})
    catalog["multi_class.report"].save({"report.html": "page", "results.txt": "msp 83.1"})
    ProjectHooks().after_pipeline_run(pipeline=reporting, catalog=catalog)
    assert "make ui" not in capsys.readouterr().out


def test_typed_parameters_take_the_place_of_what_yaml_says_or_leaves_out(bound: dict[str, Any]) -> None:
    raw = bound["multi_class"]["data"]
    catalog = DataCatalog({"params:multi_class.data": MemoryDataset(raw)})
    ProjectHooks().after_catalog_created(catalog)
    assert catalog["params:multi_class.data"].load().in_dist == "cats"
    assert catalog["params:multi_class.reporting"].load() == ReportingSpec()


MODEL, QUALITY = "multi_class.classifier.model", "multi_class.classifier.quality"


def reading() -> Pipeline:
    inputs = [MODEL, QUALITY, "params:multi_class.networks.classifier"]
    return Pipeline([Node(combine, inputs, "multi_class.results", name="collect")])


def preparing() -> Pipeline:
    return Pipeline([Node(combine, ["data_root", "params:runtime"], "multi_class.manifest", name="prepare")])


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    return DataCatalog(
        {
            MODEL: CheckpointDataset(filepath=str(tmp_path / "model")),
            QUALITY: RecordedDataset(filepath=str(tmp_path / "quality")),
            "multi_class.manifest": RecordedDataset(filepath=str(tmp_path / "manifests/manifest")),
            "multi_class.outputs": ShardsDataset(filepath=str(tmp_path / "outputs")),
            "params:multi_class.networks.classifier": MemoryDataset({}),
            "params:runtime": MemoryDataset({}),
            "data_root": ImageRootDataset(filepath=str(tmp_path / "photographs")),
        }
    )


def message(pipeline: Pipeline, catalog: DataCatalog) -> str:
    with pytest.raises(click.ClickException) as caught:
        ProjectHooks().before_pipeline_run(pipeline, catalog)
    return caught.value.message


def test_all_missing_products_are_told_in_one_message_with_place_and_command(
    catalog: DataCatalog, tmp_path: Path
) -> None:
    assert message(reading(), catalog).splitlines() == [
        "Some inputs are missing; nothing was run.",
        f"- {MODEL} ({tmp_path / 'model'}): kedro run --to-outputs {MODEL}",
        f"- {QUALITY} ({tmp_path / 'quality'}): kedro run --to-outputs {QUALITY}",
    ]


def test_what_is_missing_and_what_cannot_be_used_is_told_together(catalog: DataCatalog, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    catalog["multi_class.checkpoint"] = ProvidedFileDataset(filepath=str(tmp_path / "weights.pth"))
    both = Pipeline([Node(combine, [MODEL, "multi_class.checkpoint"], "multi_class.results", name="collect")])
    told = message(both, catalog)
    assert told.index("Some inputs cannot be used") < told.index("Some inputs are missing") < told.index(MODEL)


def test_a_half_finished_product_counts_as_missing(catalog: DataCatalog, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "state.pt").write_bytes(b"of the last whole epoch")
    assert MODEL in message(reading(), catalog)


def test_what_the_run_makes_itself_is_not_missing(catalog: DataCatalog) -> None:
    make = Node(combine, "params:runtime", [MODEL, QUALITY], name="train")
    ProjectHooks().before_pipeline_run(Pipeline([make]) + reading(), catalog)


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


def test_a_run_over_photographs_that_are_there_is_let_through(catalog: DataCatalog, tmp_path: Path) -> None:
    for folder in ("pets", "cars"):
        (tmp_path / "photographs" / folder).mkdir(parents=True)
    ProjectHooks().before_pipeline_run(preparing(), catalog)
    (tmp_path / "photographs" / "cars").rmdir()
    told = message(preparing(), catalog)
    assert "/pets" not in told
    assert "holds the folders pets" in told


def test_photographs_are_not_asked_for_where_the_run_reads_none(catalog: DataCatalog) -> None:
    assert "make samples" not in message(reading(), catalog)


def test_a_missing_set_of_the_paper_is_told_with_source_terms_and_place(
    catalog: DataCatalog, bound: dict[str, Any]
) -> None:
    library = bound["data_sets"]
    library["cats"] |= {"layout": "imagenet_21k_p", "folder": "imagenet21k"}
    library["dogs"] |= {"folder": "species/Fish"}
    library["cars"] |= {"layout": "dtd", "folder": "dtd"}
    told = message(preparing(), catalog)
    root = catalog["data_root"].load()
    assert f"no folder {root}/species/Fish, for multi_class dogs; layout '" in told
    assert "layout 'dtd' expects images/<class>/<image>" in told
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


def test_a_file_in_place_of_the_folder_of_photographs(catalog: DataCatalog, tmp_path: Path) -> None:
    (tmp_path / "photographs").write_text("")
    told = message(preparing(), catalog)
    assert f"data_root: {tmp_path / 'photographs'} is a file; name the folder" in told


def test_what_is_wrong_with_the_images_of_several_settings_is_one_message(tmp_path: Path) -> None:
    def prepare(root: str) -> str:
        raise ValueError(f"{root} is crooked")

    def sound(root: str) -> str:
        return root

    def node(setting: str, func: Any) -> Node:
        return Node(func, f"{setting}.root", f"{setting}.manifest", name=f"{setting}.prepare", namespace=setting)

    functions = {"a": sound, "b": prepare, "c": prepare, "d": sound, "e": prepare}
    nodes = {name: node(name, func) for name, func in functions.items()}
    roots = {f"{name}.root": MemoryDataset(f"/{name}") for name in "abcd"}
    catalog = DataCatalog({**roots, "e.root": CheckpointDataset(filepath=str(tmp_path / "not rendered yet"))})
    hooks = ProjectHooks()
    hooks.unprepared = {each.name: each for each in nodes.values()}
    hooks.after_node_run(nodes["a"])
    with pytest.raises(click.ClickException) as told:
        hooks.on_node_error(ValueError("/b is crooked"), nodes["b"], catalog)
    assert told.value.message == "b: /b is crooked\nc: /c is crooked"
    hooks.on_node_error(ValueError("alone"), nodes["b"], catalog)  # a node that prepares nothing, or the last one
