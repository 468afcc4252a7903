"""Products in an object store: the same as on the disk, and nothing half-made is ever taken."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DatasetError
from object_store import Bucket

from scaling_ood import storage
from scaling_ood.datasets import (
    BenchmarksDataset,
    CheckpointDataset,
    FabricatedImagesDataset,
    ImageRootDataset,
    MlflowRunsDataset,
    RecordedDataset,
    ReportDataset,
    ShardsDataset,
    TableDataset,
)
from scaling_ood.products.kept_files import DamagedPartError, read_record
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan, TrainingPlan
from scaling_ood.products.scores import Scores

PARTS = [Part(name, 2) for name in "abc"]


class Maker:
    """Makes shards, and remembers which."""

    def __init__(self, stop_after: int = 9) -> None:
        self.made: list[str] = []
        self.stop_after = stop_after

    def __call__(self, parts: Sequence[Part]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
        for part in parts:
            if len(self.made) == self.stop_after:
                raise RuntimeError("power cut")
            self.made.append(part.name)
            yield part.name, {"x": torch.full((2, 2), float(ord(part.name)))}


def shards(store: Bucket) -> ShardsDataset:
    return ShardsDataset(filepath=f"{store.address}/outputs", credentials=store.credentials)


def plan(maker: Maker, key: str = "key") -> Plan[Any]:
    return Plan(PARTS, maker, {"network": "toy"}, Origin(key))


def test_shards_are_stored_resumed_and_read(store):
    with pytest.raises(DatasetError, match="power cut"):
        shards(store).save(plan(Maker(stop_after=2)))
    assert not shards(store).exists()
    again = Maker()
    shards(store).save(plan(again))
    assert again.made == ["c"]
    stored = shards(store).load()
    assert stored.items == 6
    assert [stored.read(part.name)["x"][0, 0].item() for part in PARTS] == [97, 98, 99]
    assert store.names("outputs") == {
        "record.json",
        *(f"{each}.safetensors" for each in "abc"),
        *(f".parts/{each}.json" for each in "abc"),
    }


def test_what_is_there_is_not_made_again_nor_read(store, monkeypatch):
    shards(store).save(plan(Maker()))
    again = Maker()
    monkeypatch.setattr(storage, "local_copy", None)
    shards(store).save(plan(again))
    assert again.made == []


def test_shards_of_another_key_are_replaced(store):
    shards(store).save(plan(Maker(), "old"))
    again = Maker()
    shards(store).save(Plan(PARTS[:2], again, {}, Origin("new")))
    assert again.made == ["a", "b"]
    assert "c.safetensors" not in store.names("outputs")


def test_a_changed_shard_is_refused_where_it_is_read_and_made_again(store):
    shards(store).save(plan(Maker()))
    place = store.place("outputs/b.safetensors")
    storage.write(place, place.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedPartError, match=r"outputs/b.safetensors is damaged. Remove it: .* kedro run"):
        shards(store).load().read("b")
    again = Maker()
    shards(store).save(plan(again))
    assert again.made == ["b"]


def test_a_missing_shard_is_told_by_name(store):
    shards(store).save(plan(Maker()))
    stored = shards(store).load()
    storage.remove(store.place("outputs/b.safetensors"))
    assert not shards(store).exists()
    with pytest.raises(DamagedPartError, match=r"b.safetensors is damaged"):
        stored.read("b")


def test_a_record_follows_its_part(bucket, monkeypatch):
    order: list[str] = []
    upload, write = storage.upload, storage.write
    monkeypatch.setattr(storage, "upload", lambda a, where, last: (order.append(where.name), upload(a, where, last)))
    monkeypatch.setattr(storage, "write", lambda where, content: (order.append(where.name), write(where, content)))
    shards(bucket).save(plan(Maker()))
    assert order[1:] == ["a.safetensors", "a.json", "b.safetensors", "b.json", "c.safetensors", "c.json"]


def test_two_writers_of_the_same_product_leave_it_whole(store):
    first, second = shards(store), shards(store)
    given = plan(Maker())
    one, other = first.make(given, PARTS), second.make(plan(Maker()), PARTS[::-1])
    assert first.missing(given) == second.missing(given) == PARTS
    for _ in PARTS:
        next(one), next(other)
    stored = shards(store).load()
    assert [stored.read(part.name)["x"][0, 0].item() for part in PARTS] == [97, 98, 99]


class Training:
    def __init__(self, stop_after: int = 9) -> None:
        self.epochs: list[int] = []
        self.stop_after = stop_after

    def __call__(self, state: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
        before = state["history"] if state else []
        for epoch in range(len(before), 3):
            if len(self.epochs) == self.stop_after:
                raise RuntimeError("power cut")
            self.epochs.append(epoch)
            before = [*before, {"epoch": epoch}]
            yield {"models": {"seed0.best": {"w": torch.full((2,), float(epoch))}}, "history": before}


def test_a_training_resumes_and_its_weights_are_read(store):
    def dataset() -> CheckpointDataset:
        return CheckpointDataset(filepath=f"{store.address}/model", credentials=store.credentials)

    with pytest.raises(DatasetError, match="power cut"):
        dataset().save(TrainingPlan(3, Training(stop_after=2), {}, Origin("key")))
    assert store.names("model") == {"state.pt"}
    again = Training()
    dataset().save(TrainingPlan(3, again, {}, Origin("key")))
    assert again.epochs == [2]
    assert store.names("model") == {"model.safetensors", "record.json"}
    assert dataset().load().states()["seed0"]["w"].tolist() == [2, 2]
    dataset().save(TrainingPlan(3, again, {}, Origin("key")))
    assert again.epochs == [2]


def recorded(store: Bucket) -> RecordedDataset:
    return RecordedDataset(filepath=f"{store.address}/scores", credentials=store.credentials)


def scores(value: float) -> Scores:
    frame = pd.DataFrame({"id": ["a"], "score": [value], "image_set": ["test"], "seed": [0]})
    return Scores("msp", frame, about={"seeds": [0]}, origin=Origin("score_images"))


def test_a_recorded_table_is_replaced_and_read(store):
    assert not recorded(store).exists()
    for value in (1.0, 2.0):
        recorded(store).save(scores(value))
        pd.testing.assert_frame_equal(recorded(store).load().frame, scores(value).frame)
    assert store.names("scores") == {"frame.parquet", "record.json"}
    assert recorded(store).peek().detector == "msp"
    assert "2.0" in str(recorded(store).preview())


def test_a_table_whose_writing_was_cut_is_not_there_or_refused(store):
    recorded(store).save(scores(1.0))
    record = read_record(store.place("scores/record.json"))
    storage.remove(store.place("scores/record.json"))
    assert not recorded(store).exists()
    recorded(store).save(scores(2.0))
    storage.write(store.place("scores/record.json"), json.dumps(record).encode())
    with pytest.raises(DamagedPartError, match=r"frame.parquet is damaged.* Remove it"):
        _ = recorded(store).load().frame
    storage.remove(store.place("scores/frame.parquet"))
    with pytest.raises(DatasetError, match=r"frame.parquet is damaged"):
        recorded(store).load()


def whole(product: Any, made: list[str], **origin: Any) -> Plan[Any]:
    """A plan of a product that is made as a whole; each making is added to `made`."""

    def make(parts: Sequence[Part]) -> Iterator[tuple[str, Any]]:
        made.append("made")
        yield parts[0].name, product

    return Plan([Part("whole", 1)], make, origin=Origin("node", **origin))


@pytest.mark.parametrize(
    ("kind", "product", "lost"),
    [
        (RecordedDataset, Scores("msp", pd.DataFrame({"x": [1.0]}), origin=Origin("node")), "out/frame.parquet"),
        (TableDataset, pd.DataFrame({"x": [1.0]}), "out"),
        (ReportDataset, {"report.html": "<p>", "table": pd.DataFrame({"a": [1]})}, "out/table.csv"),
    ],
)
def test_what_has_not_changed_is_neither_made_again_nor_read(kind, product, lost, store, monkeypatch):
    def dataset() -> Any:
        return kind(filepath=f"{store.address}/out", credentials=store.credentials)

    made: list[str] = []
    dataset().save(whole(product, made))
    with monkeypatch.context() as no_reading:
        no_reading.setattr(storage, "local_copy", None)
        dataset().save(whole(product, made))
    assert made == ["made"]
    storage.remove(store.place(lost))
    dataset().save(whole(product, made))
    assert made == ["made"] * 2
    if kind is RecordedDataset:
        return
    storage.write(store.place(lost), b"other")
    dataset().save(whole(product, made))
    assert made == ["made"] * 3
    dataset().save(whole(product, made, made_from={"x": 1}))
    assert made == ["made"] * 4


def test_a_table_in_csv_is_read(bucket):
    table = TableDataset(filepath=f"{bucket.address}/results.csv", credentials=bucket.credentials)
    assert not table.exists()
    table.save(pd.DataFrame({"detector": ["größe", "msp"]}))
    assert table.exists()
    assert table.load()["detector"].tolist() == ["größe", "msp"]
    assert table.preview(nrows=1)["data"] == [["größe"]]


def test_one_of_several_processes_makes_its_parts_and_removes_no_others(bucket, monkeypatch):
    sent = pickle.dumps(shards(bucket))  # as a Ray worker gets it
    monkeypatch.setattr(storage, "_access", {})
    dataset = pickle.loads(sent)
    given, mine = plan(Maker()), PARTS[::2]
    assert dataset.missing(given, mine) == mine
    assert list(dataset.make(given, mine)) == mine
    assert dataset.absent(given) == [PARTS[1]]
    assert dataset.progress() == (2, 3, False)
    assert not dataset.exists()
    assert dataset.missing(plan(Maker(), "new"), PARTS[1:2]) == PARTS[1:2]
    assert {"a.safetensors", "c.safetensors"} <= bucket.names("outputs")


def test_roots_of_a_manifest_may_be_in_stores_of_their_own(bucket, tmp_path):
    dataset = RecordedDataset(
        filepath=f"{bucket.address}/manifest",
        credentials=bucket.credentials,
        roots={"photographs": {"filepath": "s3://photos/sets", "credentials": {"anon": True}}, "fabricated": "/local"},
    )
    assert dataset._roots == {"photographs": "s3://photos/sets", "fabricated": "/local"}
    assert storage._access_of("s3://photos/sets/a.png") == {"anon": True}
    assert storage._access_of(f"{bucket.address}/manifest/rows.parquet") == bucket.credentials


def test_rendered_folders_are_stored_and_checked(store):
    def make(parts: Sequence[Part]) -> Iterator[tuple[str, Any]]:
        for part in parts:
            yield part.name, {"1.png": np.full((4, 4, 3), 7, np.uint8), "about.json": {"of": part.name}}

    dataset = FabricatedImagesDataset(filepath=f"{store.address}/drawn", credentials=store.credentials)
    dataset.save(Plan(PARTS, make, {}, Origin("key")))
    assert dataset.load().items == 6
    assert {"a/1.png", "a/about.json"} <= store.names("drawn")
    storage.write(store.place("drawn/a/1.png"), b"other")
    with pytest.raises(DatasetError, match="drawn/a is damaged"):
        dataset.load()


def test_a_report_is_written_and_its_files_are_read(store):
    dataset = ReportDataset(filepath=f"{store.address}/report", credentials=store.credentials)
    dataset.save({"report.html": "<p>", "table": pd.DataFrame({"a": [1]})})
    assert dataset.exists()
    assert dataset.load()["report.html"].read_text(encoding="utf-8") == "<p>"
    assert dataset.load()["table.csv"].read_text() == "a\n1\n"


def test_products_of_all_benchmarks_are_found(bucket):
    store = bucket  # Kedro's own data sets read `memory://` by other names
    for benchmark in ("one", "two"):
        storage.write(store.place(f"reporting/{benchmark}/multi_class/results.csv"), b"a\n1\n")
    dataset = BenchmarksDataset(
        filepath=f"{store.address}/reporting",
        name="results.csv",
        dataset="pandas.CSVDataset",
        credentials=store.credentials,
    )
    found = dataset.load()
    assert list(found) == ["one/multi_class", "two/multi_class"]
    assert found["two/multi_class"]()["a"].tolist() == [1]


def test_the_file_about_runs_is_stored(store, tmp_path, monkeypatch):
    import mlflow

    from scaling_ood.products.records import RunRecord

    monkeypatch.setattr(mlflow.MlflowClient, "create_run", _down)
    record = RunRecord("toy.msp", {"kind": "detector", "setting": "toy", "benchmark": "b"}, {"a": 1}, {"auroc": 0.5})
    dataset = MlflowRunsDataset(filepath=f"{store.address}/runs.json", credentials=store.credentials)
    dataset.save({"msp": record})
    assert dataset.load()["msp"]["metrics"] == {"auroc": 0.5}
    assert store.names() == {"runs.json", "runs.unsent/msp/run.json"}


def _down(*_: Any, **__: Any) -> None:
    raise OSError("no server")


def test_an_image_root_is_an_address(store):
    storage.write(store.place("photos/a.png"), b"x")
    dataset = ImageRootDataset(filepath=f"{store.address}/photos/", credentials=store.credentials)
    assert dataset.exists()
    assert dataset.load() == f"{store.address}/photos"
    with pytest.raises(DatasetError, match="is read only"):
        dataset.save("x")
