"""Raw images to a manifest: roles, labels, groups, quarantine, and the record of what was done."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from encoded import turned_jpeg
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from PIL import Image, ImageOps
from toy_benchmark import CLASSES, COLOURS, model_spec, write_squares

from miniatures import MiniatureSpec, folders, render_image
from scaling_ood.datasets import FabricatedImagesDataset, ProvidedFile
from scaling_ood.images import quality, read_image
from scaling_ood.images.manifest import COLUMNS, PartitionError, TooManyUnreadableError, set_digest
from scaling_ood.images.one_sided import OneSidedLabelsError
from scaling_ood.images.quality import QualityMeasure
from scaling_ood.images.sharing import SharedImagesError
from scaling_ood.images.species import split_species
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.data_sets import DataSets, DataSpec
from scaling_ood.parameters.multi_class import FabricationSpec, ModelSpec
from scaling_ood.pipelines.data_preparation.curation_nodes import curate_images
from scaling_ood.pipelines.data_preparation.nodes import fabricate_images, prepare_manifest
from scaling_ood.pipelines.metric_reporting.facts import data_facts
from scaling_ood.preparation import Preparation, preprocessing_of

IDENTITY = IdentitySpec(setting="multi_class", benchmark="toy")
RUNTIME = RuntimeSpec(device="cpu", workers=2)
SMALL = {
    "families": 2,
    "species_per_family": 2,
    "ood_families": 1,
    "supercategories": 1,
    "train_images": 2,
    "val_images": 4,
    "ood_images": 2,
    "size_px": 16,
}


def changed(data: DataSpec, **changes: Any) -> DataSpec:
    return DataSpec.model_validate(data.model_dump() | changes)


def test_a_manifest_has_the_documented_columns_and_one_row_per_image(manifest: pd.DataFrame) -> None:
    assert set(manifest.columns) == set(COLUMNS)
    assert manifest["id"].is_unique
    sizes = {"train": 16, "fit": 20, "test": 12, "greens": 8, "static": 6, "raw_static": 6}
    assert manifest.groupby("image_set", sort=False).size().to_dict() == sizes


def test_labels_are_indices_into_the_sorted_classes_and_minus_one_for_ood(
    manifest: pd.DataFrame, preparation: dict[str, Any]
) -> None:
    known = manifest[manifest["image_set"].isin(["train", "fit", "test"])]
    assert preparation["classes"] == list(CLASSES)
    assert [CLASSES[label] for label in known["label"]] == list(known["class_name"])
    assert set(manifest.drop(known.index)["label"]) == {-1}


def test_no_image_has_two_roles(manifest: pd.DataFrame) -> None:
    known = manifest[manifest["data_set"] == "squares"]
    assert known["path"].is_unique
    assert len(known) == 48


@pytest.mark.parametrize(("train", "trained"), [({"split": "train"}, 8), ({"split": "train", "per_class": 3}, 0)])
def test_fit_images_are_recorded_as_training_images_where_they_are(
    tmp_path: Path, train: dict[str, Any], trained: int
) -> None:
    for shift, folder in enumerate(("squares/train", "squares/val", "greens")):
        colours = {name: (red + shift, green, blue) for name, (red, green, blue) in COLOURS.items()}
        write_squares(tmp_path / folder, 5, colours)
    data = DataSpec.model_validate(
        {"in_dist": "squares", "ood": ["greens"], "train": train, "fit": {"split": "train", "per_class": 2}}
        | {"test": {"split": "val"}}
    )
    sets = library(
        squares={"layout": "image_folder", "folder": "squares"}, greens={"layout": "class_folders", "folder": "greens"}
    )
    manifest, _, record = prepare_manifest(str(tmp_path), sets, data, IDENTITY, RUNTIME)
    ids = {role: set(rows["id"]) for role, rows in manifest.groupby("image_set")}
    assert record["trained_fit"] == trained == len(ids["fit"] & ids["train"])
    assert not ids["test"] & (ids["fit"] | ids["train"])
    assert Preparation.model_validate(record).judged_sets == (("test",) if trained else ("fit", "test"))


def test_the_record_holds_sizes_digests_groups_sources_and_folders(
    manifest: pd.DataFrame, preparation: dict[str, Any], data_root: str
) -> None:
    record = Preparation.model_validate(preparation)
    assert (record.benchmark, record.in_dist, record.ood) == ("toy", "squares", ("greens", "static", "raw_static"))
    assert record.folders == {"squares": f"{data_root}/squares", "greens": f"{data_root}/greens"}
    assert (record.groups, record.group_of_class) == (("blue", "red"), (0, 0, 1, 1))
    assert record.sources == {"greens": "photographs", "static": "noise", "raw_static": "noise"}
    assert {name: noise.noise_range for name, noise in record.noise.items()} == {
        "static": "pixel",
        "raw_static": "tensor",
    }
    for name in ("train", "fit", "test", "greens", "static", "raw_static"):
        rows = manifest[manifest["image_set"] == name]
        assert record.images[name] == len(rows)
        assert record.digests[name] == set_digest(rows)
    assert record.titles[0] == "blue dark"


def test_the_seed_decides_the_roles(data_root: str, data_sets: DataSets, data: DataSpec) -> None:
    def fit_ids(seed: int) -> set[str]:
        rows, _, _ = prepare_manifest(data_root, data_sets, changed(data, seed=seed), IDENTITY, RUNTIME)
        return set(rows.loc[rows["image_set"] == "fit", "id"])

    assert fit_ids(1) == fit_ids(1)
    assert fit_ids(1) != fit_ids(2)


def test_moved_data_keeps_every_digest(
    data_root: str, data_sets: DataSets, data: DataSpec, preparation: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(data_root, tmp_path / "moved")
    _, _, moved = prepare_manifest(str(tmp_path / "moved"), data_sets, data, IDENTITY, RUNTIME)
    assert moved["digests"] == preparation["digests"]
    assert moved["folders"] != preparation["folders"]


def test_without_coarse_labels_there_are_no_groups(data_root: str, data_sets: DataSets, data: DataSpec) -> None:
    _, _, record = prepare_manifest(data_root, data_sets, changed(data, coarse_labels=None), IDENTITY, RUNTIME)
    assert (record["groups"], record["group_of_class"]) == ([], [])


def test_without_training_there_is_no_training_set(data_root: str, data_sets: DataSets, data: DataSpec) -> None:
    rows, _, record = prepare_manifest(data_root, data_sets, changed(data, train=None), IDENTITY, RUNTIME)
    assert "train" not in set(rows["image_set"])
    assert "train" not in record["images"]


def test_an_ood_set_is_drawn_down_to_the_wanted_number(data_root: str, data_sets: DataSets, data: DataSpec) -> None:
    given = data_sets.model_dump() | {}
    given["greens"]["images"] = 3
    rows, _, record = prepare_manifest(data_root, DataSets.model_validate(given), data, IDENTITY, RUNTIME)
    assert record["images"]["greens"] == 3
    assert (rows["image_set"] == "greens").sum() == 3


def test_a_damaged_image_is_quarantined_and_counted(
    data_root: str, data_sets: DataSets, data: DataSpec, tmp_path: Path
) -> None:
    shutil.copytree(data_root, tmp_path / "copy")
    (tmp_path / "copy/greens/green_dark/001.png").write_bytes(b"\x89PNG half")
    rows, bad, record = prepare_manifest(
        str(tmp_path / "copy"), data_sets, changed(data, most_unreadable=0.05), IDENTITY, RUNTIME
    )
    assert list(bad["id"]) == ["greens/green_dark/001.png"]
    assert record["unreadable"] == 1
    assert record["images"]["greens"] == 7
    assert "greens/green_dark/001.png" not in set(rows["id"])
    with pytest.raises(TooManyUnreadableError, match=r"greens/green_dark/001\.png"):
        prepare_manifest(str(tmp_path / "copy"), data_sets, changed(data, most_unreadable=0.01), IDENTITY, RUNTIME)


def test_images_that_exif_would_turn_are_counted_warned_of_once_and_turned_by_option(
    data_root: str, data_sets: DataSets, data: DataSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(data_root, tmp_path / "copy")
    picture = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    for number, orientation in ((1, 6), (2, 3), (3, 1)):
        place = tmp_path / f"copy/greens/green_dark/00{number}.jpg"
        place.write_bytes(turned_jpeg(picture, orientation))
    records, manifests = {}, {}
    for said in ("stored", "upright"):
        caplog.clear()
        chosen = changed(data, orientation=said)
        manifests[said], _, record = prepare_manifest(str(tmp_path / "copy"), data_sets, chosen, IDENTITY, RUNTIME)
        records[said] = Preparation.model_validate(record)
        assert records[said].orientation == said
        assert records[said].oriented == {"greens": 2}
        told = [entry.getMessage() for entry in caplog.records if "EXIF" in entry.getMessage()]
        assert len(told) == 1
        assert "2 of greens: t" in told[0]
    digests = [records[said].digests for said in ("stored", "upright")]
    assert {name for name in digests[0] if digests[0][name] != digests[1][name]} == {"greens"}
    rows = manifests["upright"].set_index("id")
    assert rows.loc["greens/green_dark/001.jpg", "orientation"] == 6


def test_a_report_says_what_became_of_images_that_exif_would_turn(preparation: dict[str, Any]) -> None:
    told = data_facts(Preparation.model_validate(preparation), "4")["Images with an EXIF orientation"]
    assert told == "none"
    turned = Preparation.model_validate(preparation | {"oriented": {"greens": 2}, "orientation": "upright"})
    assert data_facts(turned, "4")["Images with an EXIF orientation"] == "2 of greens: turned as EXIF says"


def test_the_network_sees_upright_images_where_that_is_asked_for(
    data_root: str, data_sets: DataSets, data: DataSpec, spec: ModelSpec, tmp_path: Path
) -> None:
    shutil.copytree(data_root, tmp_path / "copy")
    picture = Image.fromarray(np.arange(12 * 6 * 3, dtype=np.uint8).reshape(6, 12, 3))
    place = tmp_path / "copy/greens/green_dark/001.jpg"
    place.write_bytes(turned_jpeg(picture, 6))
    seen = {}
    for said in ("stored", "upright"):
        chosen = changed(data, orientation=said)
        _, _, record = prepare_manifest(str(tmp_path / "copy"), data_sets, chosen, IDENTITY, RUNTIME)
        seen[said] = preprocessing_of(spec, Preparation.model_validate(record)).crop(read_image(str(place), said))
    own = preprocessing_of(spec, Preparation.model_validate(record))
    assert not torch.equal(seen["stored"], seen["upright"])
    with Image.open(place) as image:
        assert torch.equal(seen["upright"], own.crop(ImageOps.exif_transpose(image)))
        assert torch.equal(seen["stored"], own.crop(image))


def test_16_bit_grey_is_another_product_than_what_was_made_of_it_when_it_was_white(
    data_root: str, data_sets: DataSets, data: DataSpec, tmp_path: Path
) -> None:
    shutil.copytree(data_root, tmp_path / "copy")
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    Image.fromarray(grey).save(tmp_path / "copy/greens/green_dark/001.png")
    rows, _, record = prepare_manifest(str(tmp_path / "copy"), data_sets, data, IDENTITY, RUNTIME)
    greens = rows[rows["image_set"] == "greens"]
    assert greens["bits"].tolist().count(16) == 1
    assert record["digests"]["greens"] != set_digest(greens.assign(bits=8))


NO_IMAGES = {
    "a FIFO": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "floating point": lambda path: Image.new("F", (8, 8)).save(path, "TIFF"),
    "with no value above 4,095": lambda path: Image.fromarray(np.full((8, 8), 4095, np.uint16)).save(path),
    "times as long": lambda path: Image.new("RGB", (1, 20_000)).save(path),
    "cannot identify": lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0"),
}


@pytest.mark.parametrize(("problem", "make"), NO_IMAGES.items(), ids=NO_IMAGES)
def test_what_is_no_image_to_be_read_is_quarantined_by_name(
    data_root: str, data_sets: DataSets, data: DataSpec, tmp_path: Path, problem: str, make: Callable[[Path], None]
) -> None:
    shutil.copytree(data_root, tmp_path / "copy")
    place = tmp_path / "copy/greens/green_dark/001.png"
    place.unlink()
    make(place)
    chosen = changed(data, most_unreadable=0.05)
    _, bad, _ = prepare_manifest(str(tmp_path / "copy"), data_sets, chosen, IDENTITY, RUNTIME)
    assert list(bad["id"]) == ["greens/green_dark/001.png"]
    assert problem in bad["problem"].iloc[0]


def test_names_that_are_no_utf8_are_read_stored_and_shown(
    data_root: str, data_sets: DataSets, data: DataSpec, tmp_path: Path
) -> None:
    shutil.copytree(data_root, tmp_path / "copy")
    folder = os.fsencode(tmp_path / "copy/greens")
    os.rename(folder + b"/green_dark/001.png", folder + b"/green_dark/caf\xe9.png")
    os.rename(folder + b"/green_dark/002.png", folder + b"/green_dark/x\xff.png")
    with open(folder + b"/green_dark/x\xff.png", "wb") as file:
        file.write(b"no image at all")
    os.rename(folder + b"/green_light", folder + b"/gr\xfcn")
    rows, bad, record = prepare_manifest(
        str(tmp_path / "copy"), data_sets, changed(data, most_unreadable=0.05), IDENTITY, RUNTIME
    )
    assert list(bad["id"]) == ["greens/green_dark/x\\xff.png"]
    greens = rows[rows["image_set"] == "greens"]
    assert "greens/green_dark/caf\\xe9.png" in set(greens["id"])
    assert "gr\\xfcn" in set(greens["class_name"])
    assert len(greens) == 7
    # Neither the table nor its text has anything that cannot be written.
    rows.to_parquet(tmp_path / "rows.parquet")
    bad.to_csv(tmp_path / "bad.csv", encoding="utf-8")
    own = preprocessing_of(model_spec(), Preparation.model_validate(record))
    for path in greens["path"]:
        assert own.crop(read_image(f"{record['folders']['greens']}/{path}")).shape[0] == 3


def test_a_class_that_is_too_small_for_its_roles_is_an_error(
    data_root: str, data_sets: DataSets, data: DataSpec
) -> None:
    greedy = changed(data, train={"split": "all", "per_class": 10}, fit={"split": "all", "per_class": 5})
    with pytest.raises(PartitionError, match="fit: 4 classes have fewer than 5 images left"):
        prepare_manifest(data_root, data_sets, greedy, IDENTITY, RUNTIME)


def test_titles_come_from_a_shipped_table_where_one_is_named(tmp_path: Path) -> None:
    from toy_benchmark import write_squares

    write_squares(tmp_path / "set", 3, {"n01443537": (1, 2, 3), "n99999999": (4, 5, 6)})
    folder = {"source": "photographs", "layout": "class_folders", "folder": "set", "titles": "tiny_imagenet"}
    sets = DataSets.model_validate({"fish": folder, "static": {"source": "noise", "recipe": "gaussian", "images": 2}})
    roles = {"train": None, "fit": {"split": "all", "per_class": 1}, "test": {"split": "all"}}
    data = DataSpec.model_validate({"in_dist": "fish", "ood": ["static"], **roles})
    _, _, record = prepare_manifest(str(tmp_path), sets, data, IDENTITY, RUNTIME)
    assert record["titles"] == ["goldfish", "n99999999"]


def library(**entries: dict[str, Any]) -> DataSets:
    return DataSets.model_validate({name: {"source": "photographs", **entry} for name, entry in entries.items()})


SPECIES = {"layout": "species", "folder": "species"}
SPLIT = {"train": None, "fit": {"split": "all", "per_class": 1}, "test": {"split": "all"}}


def prepare_species(data_root: Path, **known: Any) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    selected = {part: SPECIES | {"species": {"take": part, "share": 0.4, "seed": 3}} for part in ("known", "held_out")}
    sets = library(known=selected["known"] | known, held_out=selected["held_out"])
    data = DataSpec.model_validate({"in_dist": "known", "ood": ["held_out"], **SPLIT})
    return prepare_manifest(str(data_root), sets, data, IDENTITY, RUNTIME)


@pytest.fixture
def species(tmp_path: Path) -> Path:
    for supercategory, kinds in {"Fish": 5, "Fungi": 3}.items():
        for kind in range(kinds):
            colour = (20 * len(supercategory), 40 * kind, 90)
            write_squares(tmp_path / "species" / supercategory, 3, {f"kind {kind}": colour})
    return tmp_path


def test_held_out_species_are_never_known_ones(species: Path) -> None:
    manifest, _, record = prepare_species(species)
    held_out = manifest[manifest["image_set"] == "held_out"]
    split = split_species(sorted({*record["classes"], *held_out["class_name"]}), 0.4, 3)
    assert tuple(record["classes"]) == split.known
    assert set(held_out["class_name"]) == set(split.held_out)
    assert held_out.groupby("class_name").size().to_dict() == dict.fromkeys(split.held_out, 3)


def test_the_whole_copy_is_compared_with_what_was_published_before_anything_is_selected(
    species: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, _, record = prepare_species(species, published={"data_set": "species"})
    told = "known: species (paper), Fungi: 9 images, expected 163,049 (the paper, Table 7)"
    assert told in record["differences"]
    assert f"differs from what was published. {told}" in caplog.text
    assert prepare_species(species)[2]["differences"] == []


def test_labels_are_indices_into_the_list_that_a_head_knows(tmp_path: Path) -> None:
    wnids = ("n01440764", "n15075141")
    write_squares(tmp_path / "imagenet/val", 3, dict.fromkeys(wnids, (200, 100, 0)))
    write_squares(tmp_path / "other", 2, {"a": (1, 2, 3)})
    sets = library(
        imagenet={"layout": "imagenet", "folder": "imagenet", "class_list": "imagenet_1k"},
        other={"layout": "class_folders", "folder": "other"},
    )
    roles = {"train": None, "fit": {"split": "val", "per_class": 1}, "test": {"split": "val"}}
    data = DataSpec.model_validate({"in_dist": "imagenet", "ood": ["other"], **roles})
    manifest, _, record = prepare_manifest(str(tmp_path), sets, data, IDENTITY, RUNTIME)
    known = manifest[manifest["image_set"] != "other"]
    assert set(zip(known["class_name"], known["label"], strict=True)) == {(wnids[0], 0), (wnids[1], 999)}
    assert len(record["classes"]) == 1000
    write_squares(tmp_path / "imagenet/val", 3, {"n00000001": (0, 0, 0)})
    with pytest.raises(PartitionError, match=r"^imagenet: 1 classes are not in the list imagenet_1k.*: n00000001$"):
        prepare_manifest(str(tmp_path), sets, data, IDENTITY, RUNTIME)


def test_weights_from_a_file_are_known_by_their_content(data_root: str, data_sets: DataSets, data: DataSpec) -> None:
    file = ProvidedFile("/weights.pth", "c" * 64)
    record = prepare_manifest(data_root, data_sets, data, IDENTITY, RUNTIME, checkpoint=file)[2]
    assert record["checkpoint"] == "c" * 64


def brightness(image: Any) -> float:
    return float(np.asarray(image).mean())


def test_a_curated_set_is_left_without_dark_and_flagged_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(quality.QUALITY_MEASURES, "brisque", QualityMeasure("brisque", "lower", brightness))
    write_squares(tmp_path / "known", 3, {"a": (200, 200, 200), "b": (180, 180, 180)})
    write_squares(tmp_path / "scraped", 2, {"dark": (10, 10, 10), "light": (240, 240, 240)})
    (tmp_path / "flags.csv").write_text("image,reason\nlight/001.png,a drawing\n")
    rule = {"quality": "brisque", "cutoff": 60, "flags": "flags.csv"}
    sets = library(
        known={"layout": "class_folders", "folder": "known"},
        scraped={"layout": "class_folders", "folder": "scraped", "curation": rule},
    )
    data = DataSpec.model_validate({"in_dist": "known", "ood": ["scraped"], **SPLIT})
    report = curate_images(str(tmp_path), sets, data, RUNTIME)
    assert report["id"].tolist() == ["scraped/dark/000.png", "scraped/dark/001.png", "scraped/light/001.png"]
    assert set(report["data_set"]) == {"scraped"}
    assert report["reason"].iloc[2] == "flagged: a drawing"
    manifest, _, record = prepare_manifest(str(tmp_path), sets, data, IDENTITY, RUNTIME, curation=report)
    assert manifest.loc[manifest["image_set"] == "scraped", "id"].tolist() == ["scraped/light/000.png"]
    assert (record["images"]["test"], record["curated"]) == (4, {"scraped": 3})


def test_where_nothing_is_left_out_the_report_has_its_columns_and_no_row(tmp_path: Path) -> None:
    write_squares(tmp_path / "known", 2, {"a": (200, 200, 200)})
    (tmp_path / "flags.csv").write_text("image,reason\n")
    entry = {"layout": "class_folders", "folder": "known"}
    sets = library(known=entry | {"curation": {"flags": "flags.csv"}}, other=entry)
    data = DataSpec.model_validate({"in_dist": "known", "ood": ["other"], **SPLIT})
    report = curate_images(str(tmp_path), sets, data, RUNTIME)
    assert list(report.columns) == ["data_set", "id", "path", "class_name", "quality", "reason"]
    assert report.empty


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"quality": "brisque"}, "quality and cutoff belong together"),
        ({}, "give quality with cutoff, flags, or both"),
        ({"quality": "brisk", "cutoff": 1}, "unknown quality measure 'brisk'; did you mean 'brisque'"),
    ],
)
def test_half_a_rule_of_curation_is_refused(rule: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        library(known={"layout": "class_folders", "folder": "known", "curation": rule})


def test_the_plan_of_the_miniature_has_one_part_per_class_folder() -> None:
    plan = fabricate_images(FabricationSpec.model_validate(SMALL))
    spec = MiniatureSpec(**SMALL)
    assert {part.name.removeprefix("in_dist/"): part.items for part in plan.parts} == {
        name: content.images for name, content in folders(spec).items()
    }
    assert all(part.name.split("/")[0] in {"in_dist", "ood"} for part in plan.parts)
    other = fabricate_images(FabricationSpec.model_validate(SMALL | {"seed": 1}))
    assert plan.key == fabricate_images(FabricationSpec.model_validate(SMALL)).key != other.key


def test_the_miniature_runs_through_the_graph_and_missing_folders_alone_are_rendered_again(tmp_path: Path) -> None:
    (supercategory,) = {name.split("/")[1] for name in folders(MiniatureSpec(**SMALL)) if name.startswith("ood/")}
    sets = {
        "miniature": {"source": "fabricated", "layout": "image_folder", "folder": "in_dist"},
        "unseen": {"source": "fabricated", "layout": "class_folders", "folder": f"ood/{supercategory}"},
    }
    data = {
        "in_dist": "miniature",
        "ood": ["unseen"],
        "train": {"split": "train"},
        "fit": {"split": "val", "per_class": 1},
        "test": {"split": "val"},
        "coarse_labels": "class_prefix",
    }
    images = FabricatedImagesDataset(filepath=str(tmp_path / "miniature"))
    catalog = DataCatalog(
        {
            "images": images,
            "data_root": MemoryDataset(str(tmp_path)),
            "params:fabrication": MemoryDataset(FabricationSpec.model_validate(SMALL)),
            "params:data_sets": MemoryDataset(DataSets.model_validate(sets)),
            "params:data": MemoryDataset(DataSpec.model_validate(data)),
            "params:identity": MemoryDataset(IDENTITY),
            "params:runtime": MemoryDataset(RUNTIME),
            **{name: MemoryDataset() for name in ("manifest", "quarantine", "preparation")},
        }
    )
    inputs = ["data_root", "params:data_sets", "params:data", "params:identity", "params:runtime", "images"]
    graph = Pipeline(
        [
            Node(fabricate_images, "params:fabrication", "images", name="fabricate"),
            Node(prepare_manifest, inputs, ["manifest", "quarantine", "preparation"], name="prepare"),
        ]
    )
    SequentialRunner().run(graph, catalog)
    rows, record = catalog["manifest"].load(), Preparation.model_validate(catalog["preparation"].load())
    assert record.images == {"train": 8, "fit": 4, "test": 12, "unseen": 4}
    assert record.unreadable == 0
    assert len(record.classes) == 4
    assert len(record.groups) == 2
    assert [record.groups[group] for group in record.group_of_class] == [name.split("_")[0] for name in record.classes]
    assert set(rows["data_set"]) == {"miniature", "unseen"}

    first = rows.iloc[0]
    shutil.rmtree(tmp_path / "miniature" / "in_dist" / "train" / first["class_name"])
    SequentialRunner().run(graph, catalog)
    again = Preparation.model_validate(catalog["preparation"].load())
    assert again == record

    from PIL import Image

    with Image.open(tmp_path / "miniature" / "in_dist" / first["path"]) as image:
        rendered = render_image(MiniatureSpec(**SMALL), f"train/{first['class_name']}", 0)
        assert np.abs(np.asarray(image).astype(int) - rendered).mean() < 6


@pytest.fixture
def own_root(data_root: str, tmp_path: Path) -> Path:
    shutil.copytree(data_root, tmp_path / "root")
    return tmp_path / "root"


def prepared_in(
    root: Path, data_sets: DataSets, data: DataSpec, **changes: Any
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    return prepare_manifest(str(root), data_sets, changed(data, **changes), IDENTITY, RUNTIME)


def test_clean_data_leaves_nothing_to_tell(preparation: dict[str, Any]) -> None:
    assert (preparation["left_out"], preparation["shared"], preparation["notes"]) == ({}, [], [])


def test_files_that_are_left_out_are_counted_in_record_table_and_one_line(
    own_root: Path, data_sets: DataSets, data: DataSpec, caplog: pytest.LogCaptureFixture
) -> None:
    greens = own_root / "greens"
    for name in ("green_dark/a.heic", "green_dark/more/b.heic", "notes.txt", "green_dark/._000.png", ".DS_Store"):
        (greens / name).parent.mkdir(exist_ok=True)
        (greens / name).touch()
    (own_root / "squares/blue_dark/gone.png").symlink_to("nowhere.png")
    rows, bad, record = prepared_in(own_root, data_sets, data)
    hidden = "hidden, or of the system"
    assert record["left_out"] == {
        "squares": {"link to nothing": 1},
        "greens": {hidden: 2, "ending .heic": 2, "ending .txt": 1},
    }
    assert dict(zip(bad["id"], bad["problem"], strict=True)) == {
        "squares/blue_dark/gone.png": "link to nothing",
        "greens/green_dark/a.heic": "ending .heic",
        "greens/green_dark/more/b.heic": "ending .heic",
        "greens/notes.txt": "ending .txt",
        "greens/": f"2 files or folders: {hidden}",
    }
    assert len(rows) == 68
    assert record["unreadable"] == 0
    assert caplog.text.count("WARNING") == 1
    assert f"squares: link to nothing: 1. greens: {hidden}: 2; ending .heic: 2; ending .txt: 1" in caplog.text


def test_images_in_sub_folders_of_classes_are_used(own_root: Path, data_sets: DataSets, data: DataSpec) -> None:
    more = own_root / "greens/green_dark/more"
    more.mkdir()
    for path in sorted((own_root / "greens/green_dark").glob("*.png"))[:2]:
        path.rename(more / path.name)
    rows, _, record = prepared_in(own_root, data_sets, data)
    assert record["images"]["greens"] == 8
    assert "green_dark/more/000.png" in set(rows["path"])


def test_a_wrong_layout_is_told_which_one_fits(own_root: Path, data: DataSpec) -> None:
    for path in list((own_root / "greens").rglob("*.png")):
        path.rename(own_root / "greens" / f"{path.parent.name}_{path.name}")
    for folder in (own_root / "greens").iterdir():
        if folder.is_dir():
            folder.rmdir()
    squares = {"layout": "class_folders", "folder": "squares"}
    with pytest.raises(PartitionError, match=r"greens: no image in .*; images lie in the folder itself: .*'flat'"):
        prepared_in(own_root, library(squares=squares, greens=squares | {"folder": "greens"}), data, ood=["greens"])
    sets = library(squares=squares, greens={"layout": "flat", "folder": "greens"})
    assert prepared_in(own_root, sets, data, ood=["greens"])[2]["images"]["greens"] == 8
    with pytest.raises(OneSidedLabelsError, match="test: 4 of 4 images have no class"):
        prepared_in(
            own_root, sets, data, in_dist="greens", ood=["squares"], train=None, coarse_labels=None,
            fit={"split": "all", "share": 0.5}, test={"split": "all"},
        )  # fmt: skip


def test_the_same_bytes_on_both_sides_are_told_and_more_than_a_share_is_refused(
    own_root: Path, data_sets: DataSets, data: DataSpec, manifest: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    first = manifest[manifest["image_set"] == "test"].iloc[0]
    shutil.copy(own_root / "squares" / first["path"], own_root / "greens/green_dark/000.png")
    with pytest.raises(SharedImagesError, match=r"1 of 8 \(12\.50%\) greens images have the bytes of images of test"):
        prepared_in(own_root, data_sets, data)
    caplog.clear()
    _, _, record = prepared_in(own_root, data_sets, data, most_shared=0.2)
    found = Preparation.model_validate(record).shared
    told = f"1 of 8 (12.50%) greens images have the bytes of images of test (greens/green_dark/000.png = {first['id']})"
    assert [str(one) for one in found] == [told]
    assert told in caplog.text


def test_pictures_that_look_alike_are_told_where_one_asks(
    own_root: Path, data_sets: DataSets, data: DataSpec, manifest: pd.DataFrame
) -> None:
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((120, 120))
    first = manifest[manifest["image_set"] == "test"].iloc[0]
    picture.save(own_root / "squares" / first["path"])
    picture.resize((90, 90)).save(own_root / "greens/green_dark/000.png")
    assert prepared_in(own_root, data_sets, data)[2]["shared"] == []
    rows, _, record = prepared_in(own_root, data_sets, data, near_duplicates=True)
    told = [str(one) for one in Preparation.model_validate(record).shared if one.examples]
    assert f"1 of 8 (12.50%) greens images look like images of test (greens/green_dark/000.png = {first['id']})" in told
    assert set(rows["look"].map(len)[rows["path"] != ""]) == {16}


def test_a_class_that_is_never_trained_on_is_an_error(own_root: Path, data: DataSpec) -> None:
    for split, classes in {"train": ("red", "blue"), "val": ("red", "blue", "green")}.items():
        for index, name in enumerate(classes):
            write_squares(own_root / "mine" / split, 3, {name: (80 * index, 40 * len(split), 90)})
    sets = library(
        mine={"layout": "image_folder", "folder": "mine"}, greens={"layout": "class_folders", "folder": "greens"}
    )
    roles = {"train": {"split": "train"}, "fit": {"split": "val", "per_class": 1}, "test": {"split": "val"}}
    with pytest.raises(OneSidedLabelsError, match=r"test: 1 classes have no training image.*: green with 2\. Give"):
        prepared_in(own_root, sets, data, in_dist="mine", ood=["greens"], coarse_labels=None, **roles)


def test_size_and_time_of_each_file_are_recorded_and_no_part_of_the_digests(
    own_root: Path, data_sets: DataSets, data: DataSpec, manifest: pd.DataFrame, preparation: dict[str, Any]
) -> None:
    for path in own_root.rglob("*.png"):
        os.utime(path, ns=(5, 6))
    rows, _, record = prepared_in(own_root, data_sets, data)
    noise = rows["path"] == ""
    assert set(rows.loc[noise, ["bytes", "modified_ns"]].to_numpy().ravel()) == {-1}
    assert set(rows.loc[~noise, "modified_ns"]) == {6}
    assert rows["bytes"].tolist() == manifest["bytes"].tolist()
    assert rows.loc[~noise, "bytes"].iloc[0] == (own_root / "squares" / rows["path"].iloc[0]).stat().st_size
    assert record["digests"] == preparation["digests"]
