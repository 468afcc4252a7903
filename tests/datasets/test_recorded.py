"""Tables with a record on disk: all of it, exactly, with what it was made from; wherever the project lies."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from scaling_ood.datasets import RecordedDataset
from scaling_ood.datasets.recorded import KINDS, RECORD
from scaling_ood.parameters.data_sets import NoiseSpec
from scaling_ood.products.kept_files import DamagedPartError
from scaling_ood.products.keys import Origin
from scaling_ood.products.preparation import Findings, Manifest, Place, Preparation
from scaling_ood.products.scores import Measured, Quality, Scores

ORIGIN = Origin("score_images", 2, {"outputs": "abc", "detector": {"options": {"chunk_rows": 8}}})
SCORES = Scores(
    detector="kl_matching",
    frame=pd.DataFrame(
        {
            "id": ["a/1.jpg", "b/ä.jpg"],
            "score": [np.nextafter(0.1, 1), np.inf],
            "image_set": ["test", "far"],
            "seed": [0, 1],
        }
    ),
    gap="",
    options={"chunk_rows": 8},
    about={"seeds": [0, 1], "network": "classifier"},
    diagnostics={"templates": 4.0},
    images_per_second=12.5,
    origin=ORIGIN,
)
PREPARATION = Preparation(
    benchmark="toy",
    setting="multi_class",
    in_dist="squares",
    ood=("static", "greens"),
    places={"squares": Place(root="photographs", folder="sq"), "greens": Place(root="fabricated", folder="g")},
    classes=("blue", "red"),
    sources={"static": "noise", "greens": "fabricated"},
    noise={"static": NoiseSpec(source="noise", recipe="blobs", images=5)},
    images={"test": 2, "static": 5, "greens": 1},
    digests={"test": "d0", "static": "d1", "greens": "d2"},
    found=Findings(unreadable=2, notes=("one", "two")),
)
ROWS = pd.DataFrame(
    {
        "id": ["squares/0", "greens/0"],
        "path": ["blue/0.png", "owl/0.png"],
        "image_set": ["test", "greens"],
        "data_set": ["squares", "greens"],
    }
)
PRODUCTS: list[Any] = [
    SCORES,
    replace(SCORES, frame=SCORES.frame.iloc[:0], gap="not applicable: too few fit images", origin=Origin("gap")),
    Quality("top1", 0.5, 0.4, {"test": {"top1": 0.5}}, {"test": 12}, "", Origin("check_quality", 1, {"model": "m"})),
    Quality("miou", None),
    Measured(pd.DataFrame({"auroc": [0.5, np.nan]}), pd.DataFrame({"seed": [0], "auroc": [0.25]}), Origin("measure")),
    Manifest(ROWS, PREPARATION, origin=Origin("prepare_manifest")),
]


def dataset(folder: Path, roots: dict[str, str] | None = None) -> RecordedDataset:
    return RecordedDataset(filepath=str(folder), roots=roots)


def same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    for field in fields(one):
        values = [getattr(each, field.name) for each in (one, other)]
        if isinstance(values[0], pd.DataFrame):
            pd.testing.assert_frame_equal(*values, check_exact=True)
        elif field.name != "roots":
            assert values[0] == values[1], field.name


def test_every_kind_of_product_is_tried() -> None:
    assert {type(product) for product in PRODUCTS} == set(KINDS.values())


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: type(product).__name__)
def test_a_product_comes_back_equal_in_every_field_and_its_record_alone_without_rows(
    tmp_path: Path, product: Any
) -> None:
    dataset(tmp_path / "deep" / "product").save(product)
    loaded = dataset(tmp_path / "deep" / "product").load()
    same(loaded, product)
    peeked = dataset(tmp_path / "deep" / "product").peek()
    assert peeked.origin == product.origin
    for field in fields(product):
        if not isinstance(getattr(product, field.name), pd.DataFrame):
            assert getattr(peeked, field.name) == getattr(loaded, field.name)


def test_no_record_holds_a_folder_that_is_absolute_so_that_a_moved_project_reads_its_own_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = {"photographs": "raw", "fabricated": "raw/toy"}
    for project in ("old", "new"):
        for data_set in ("raw/sq/blue", "raw/toy/g/owl"):
            (tmp_path / project / data_set).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "old")
    given = Manifest(ROWS, PREPARATION, {"photographs": str(tmp_path / "old/raw"), "fabricated": str(tmp_path)})
    dataset(Path("manifest"), roots).save(given)
    for file in Path("manifest").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
    shutil.move("manifest", tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    moved = dataset(Path("manifest"), roots).load()
    assert moved.folders == {"squares": f"{tmp_path}/new/raw/sq", "greens": f"{tmp_path}/new/raw/toy/g"}
    assert moved.origin == given.origin
    elsewhere = dataset(Path("manifest"), {**roots, "photographs": "/mnt/photographs"}).peek()
    assert elsewhere.folders["squares"] == "/mnt/photographs/sq"


def test_a_failed_write_leaves_the_old_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = dataset(tmp_path / "kl")
    assert not scores.exists()
    scores.save(SCORES)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(pd.DataFrame, "to_parquet", refuse)
        with pytest.raises(DatasetError, match="no space left"):
            scores.save(replace(SCORES, origin=Origin("other")))
    assert scores.exists()
    same(scores.load(), SCORES)
    scores.save(replace(SCORES, origin=Origin("other")))
    assert scores.load().origin == Origin("other")
    assert [path.name for path in tmp_path.iterdir()] == ["kl"]


def test_killed_between_removing_the_old_and_naming_the_new_nothing_is_taken_for_a_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = dataset(tmp_path / "kl")
    scores.save(SCORES)

    def killed(*_: object) -> None:
        raise OSError("killed before the renaming")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", killed)
        with pytest.raises(DatasetError, match="killed"):
            scores.save(replace(SCORES, origin=Origin("other")))
    if scores.exists():
        same(scores.load(), SCORES)
    scores.save(replace(SCORES, origin=Origin("other")))
    assert scores.load().origin == Origin("other")


@pytest.mark.parametrize("name", ["frame.parquet", RECORD])
def test_no_flipped_bit_changes_a_score_or_what_is_told_of_it(tmp_path: Path, name: str) -> None:
    scores = dataset(tmp_path / "kl")
    scores.save(SCORES)
    path = tmp_path / "kl" / name
    whole = path.read_bytes()
    read = []
    for position in range(0, len(whole), 11):
        content = bytearray(whole)
        content[position] ^= 1 << (position % 7)
        path.write_bytes(content)
        with suppress(DatasetError, DamagedPartError, FileNotFoundError):
            read.append(scores.load())
    assert len(read) < len(whole) // 11 // 2
    for loaded in read:
        same(loaded, SCORES)


@pytest.mark.parametrize("damage", ["cut", "lost", "another"])
def test_a_damaged_table_is_named_with_what_makes_it_again(tmp_path: Path, damage: str) -> None:
    scores = dataset(tmp_path / "kl")
    scores.save(SCORES)
    path = tmp_path / "kl" / "frame.parquet"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "lost":
        path.unlink()
    else:
        SCORES.frame.assign(score=0.5).to_parquet(path, index=False)
    remedy = r"frame\.parquet is damaged\. What is damaged is made again by: kedro run$"
    with pytest.raises(DatasetError, match=remedy) as raised:
        scores.load()
    assert isinstance(raised.value.__cause__, DamagedPartError)


@pytest.mark.parametrize("content", [b"", b'{"kind": "Sco', b"[]"])
def test_an_empty_or_cut_record_is_the_same_as_none_and_is_said(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    scores = dataset(tmp_path / "kl")
    scores.save(SCORES)
    (tmp_path / "kl" / RECORD).write_bytes(content)
    assert not scores.exists()
    with pytest.raises((FileNotFoundError, DatasetError), match="not there, or not finished"):
        scores.load()
    assert "record.json is empty or damaged" in caplog.text


@pytest.mark.parametrize("change", [{"key": "k"}, {"kind": "Secrets"}, {"fields": {}}, {"made_from": {}}])
def test_a_record_that_was_changed_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    scores = dataset(tmp_path / "kl")
    scores.save(SCORES)
    record = json.loads((tmp_path / "kl" / RECORD).read_text())
    (tmp_path / "kl" / RECORD).write_text(json.dumps(record | change))
    with pytest.raises((DamagedPartError, DatasetError), match=r"record\.json is damaged"):
        scores.load()


def test_the_preview_shows_rows_of_its_table(tmp_path: Path) -> None:
    scores = dataset(tmp_path / "kl")
    scores.save(SCORES)
    assert scores.preview()["columns"] == list(SCORES.frame.columns)
