"""Products made part by part: what exists is kept, what is missing is made, and nothing half-made is ever taken."""

import hashlib
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError

from scaling_ood.datasets import ShardsDataset
from scaling_ood.datasets.planned import PART_RECORDS, RECORD
from scaling_ood.products import kept_files
from scaling_ood.products.kept_files import content_sum, write_atomically
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan

Shard = dict[str, torch.Tensor]


class Producer:
    """Makes parts whose values follow from their names; remembers what it was asked for, and can stop in the middle."""

    def __init__(self, stop_after: int | None = None, error: Exception | None = None) -> None:
        self.stop_after = stop_after
        self.error = error or RuntimeError("power cut")
        self.made: list[str] = []
        self.calls = 0

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Shard]]:
        self.calls += 1
        for part in missing:
            if len(self.made) == self.stop_after:
                raise self.error
            self.made.append(part.name)
            yield part.name, content(part)


def content(part: Part) -> Shard:
    return {"x": torch.full((part.items, 2), float(ord(part.name[-1])))}


def plan(producer: Producer, key: str = "key", names: str = "abcde", items: int = 3) -> Plan[Shard]:
    return Plan([Part(f"part-{name}", items) for name in names], producer, {"made_for": key}, Origin(key))


@dataclass(frozen=True)
class Multiples:
    """Makes parts in whichever process it is sent to."""

    factor: float

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Shard]]:
        for part in missing:
            yield part.name, {"x": torch.arange(part.items) * self.factor + ord(part.name[-1])}


def make_parts(dataset: ShardsDataset, given: Plan[Shard], parts: Sequence[Part]) -> list[str]:
    return [part.name for part in dataset.make(given, parts)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "product"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def part_record(folder: Path, name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / PART_RECORDS / f"{name}.json").read_text())
    return content


def recorded(folder: Path) -> set[str]:
    return {path.stem for path in (folder / PART_RECORDS).glob("*.json")}


def test_a_saved_plan_is_loaded_with_key_parts_items_and_content(folder: Path) -> None:
    ShardsDataset(filepath=str(folder)).save(plan(Producer()))
    stored = ShardsDataset(filepath=str(folder)).load()
    assert (stored.origin, stored.about, stored.items) == (Origin("key"), {"made_for": "key"}, 15)
    assert list(stored.parts) == [f"part-{name}" for name in "abcde"]
    for name in stored.parts:
        assert torch.equal(stored.read(name)["x"], content(Part(name, 3))["x"])


def test_the_recorded_checksum_is_the_sha256_of_the_file(folder: Path) -> None:
    ShardsDataset(filepath=str(folder)).save(plan(Producer()))
    written = (folder / "part-b.safetensors").read_bytes()
    assert part_record(folder, "part-b")["sha256"] == hashlib.sha256(written).hexdigest()
    assert content_sum(folder / "part-b.safetensors") == hashlib.sha256(written).hexdigest()


@pytest.mark.parametrize("done", range(5))
def test_after_an_interruption_only_the_rest_is_made_in_the_same_folder(folder: Path, done: int) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    with pytest.raises(DatasetError, match="power cut"):
        dataset.save(plan(Producer(stop_after=done)))
    assert not dataset.exists()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    assert len(kept) == done

    again = Producer()
    ShardsDataset(filepath=str(folder)).save(plan(again))
    assert again.made == [f"part-{name}" for name in "abcde"[done:]]
    assert again.calls == 1
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert files(folder) == {RECORD, PART_RECORDS, *(f"part-{name}.safetensors" for name in "abcde")}


def test_an_interrupted_product_is_not_there_and_not_loaded(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    assert not dataset.exists()
    with pytest.raises(DatasetError):
        dataset.save(plan(Producer(stop_after=2)))
    assert not dataset.exists()
    with pytest.raises((FileNotFoundError, DatasetError), match="not there, or not finished"):
        dataset.load()
    dataset.save(plan(Producer()))
    assert dataset.exists()


def test_a_complete_product_is_not_made_again(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(plan(Producer()))
    before = (folder / RECORD).read_text()
    again = Producer()
    dataset.save(plan(again))
    assert again.calls == 0
    assert (folder / RECORD).read_text() == before


def test_another_key_removes_the_old_parts_and_makes_all_new_ones(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(plan(Producer(), names="abcde"))
    other = Producer()
    dataset.save(plan(other, key="other", names="ab"))
    assert other.made == ["part-a", "part-b"]
    assert files(folder) == {RECORD, PART_RECORDS, "part-a.safetensors", "part-b.safetensors"}
    assert dataset.load().origin == Origin("other")


def test_another_key_keeps_nothing_of_an_interrupted_product(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    with pytest.raises(DatasetError):
        dataset.save(plan(Producer(stop_after=3)))
    other = Producer()
    dataset.save(plan(other, key="other"))
    assert other.made == [f"part-{name}" for name in "abcde"]


@pytest.mark.parametrize("content", [b"", b'{"key": "ke', b"[]"])
def test_an_empty_or_cut_record_is_the_same_as_none_and_is_said(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(plan(Producer()))
    (folder / RECORD).write_bytes(content)
    (folder / PART_RECORDS / "part-b.json").write_bytes(content)
    assert not dataset.exists()
    again = Producer()
    dataset.save(plan(again))
    assert again.made == ["part-b"]
    assert dataset.load().items == 15
    assert "record.json is empty or damaged" in caplog.text
    assert "part-b.json is empty or damaged" in caplog.text


@pytest.mark.parametrize("keeps_its_time", [False, True])
def test_a_part_of_another_content_is_made_again(folder: Path, keeps_its_time: bool) -> None:
    ShardsDataset(filepath=str(folder)).save(plan(Producer()))
    path = folder / "part-c.safetensors"
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    if keeps_its_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        forget()
    again = Producer()
    ShardsDataset(filepath=str(folder)).save(plan(again))
    assert again.made == ["part-c"]
    assert ShardsDataset(filepath=str(folder)).load().read("part-c")


def forget() -> None:
    """What another process would know of sums."""
    kept_files._checked.clear()


def test_two_processes_make_different_parts_of_one_plan(folder: Path) -> None:
    given = Plan([Part(f"part-{name}", 3) for name in "abcdef"], Multiples(2.0), {"model": "m"}, Origin("key"))
    dataset = ShardsDataset(filepath=str(folder))
    missing = dataset.missing(given)
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        made = [pool.submit(make_parts, dataset, given, missing[number::2]) for number in range(2)]
        assert [one.result() for one in made] == [["part-a", "part-c", "part-e"], ["part-b", "part-d", "part-f"]]
    stored = dataset.load()
    assert list(stored.parts) == [part.name for part in given.parts]
    whole = ShardsDataset(filepath=str(folder.with_name("whole")))
    whole.save(given)
    for name in stored.parts:
        assert (folder / f"{name}.safetensors").read_bytes() == (
            folder.with_name("whole") / f"{name}.safetensors"
        ).read_bytes()
    assert dataset.missing(given) == []


def test_another_key_removes_a_part_that_was_in_place_but_not_recorded_yet(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    with pytest.raises(DatasetError):
        dataset.save(plan(Producer(stop_after=2)))
    # Killed between the renaming of a part and its entry in the record.
    (folder / "part-c.safetensors").write_bytes(b"whole, but unrecorded")
    dataset.save(plan(Producer(), key="other", names="ab"))
    assert files(folder) == {RECORD, PART_RECORDS, "part-a.safetensors", "part-b.safetensors"}


@pytest.mark.parametrize("lost", ["part-a", "part-c", "part-e"])
def test_a_part_that_was_deleted_by_hand_is_made_again_and_keeps_its_position(folder: Path, lost: str) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(plan(Producer()))
    (folder / f"{lost}.safetensors").unlink()
    again = Producer()
    dataset.save(plan(again))
    assert again.made == [lost]
    assert list(dataset.load().parts) == [f"part-{name}" for name in "abcde"]


def test_while_a_lost_part_is_made_again_the_product_is_not_there(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(plan(Producer()))
    (folder / "part-b.safetensors").unlink()
    with pytest.raises(DatasetError):
        dataset.save(plan(Producer(stop_after=0)))
    assert not dataset.exists()


def test_a_part_of_another_size_is_made_again(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(plan(Producer(), items=3))
    again = Producer()
    dataset.save(plan(again, items=4))
    assert len(again.made) == 5
    assert dataset.load().items == 20


def test_a_half_written_file_is_never_taken_for_a_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    whole = ShardsDataset._write

    def torn(self: ShardsDataset, place: Path, product: Shard) -> None:
        whole(self, place, product)
        place.write_bytes(place.read_bytes()[:20])
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(ShardsDataset, "_write", torn)
        with pytest.raises(DatasetError, match="no space left"):
            dataset.save(plan(Producer()))
    assert list(folder.glob("*.safetensors")) == []
    assert not dataset.exists()
    again = Producer()
    dataset.save(plan(again))
    assert len(again.made) == 5
    assert files(folder) == {RECORD, PART_RECORDS, *(f"part-{name}.safetensors" for name in "abcde")}
    assert torch.equal(dataset.load().read("part-a")["x"], content(Part("part-a", 3))["x"])


def test_a_producer_that_leaves_a_part_out_leaves_the_product_unfinished(folder: Path) -> None:
    dataset = ShardsDataset(filepath=str(folder))
    parts = [Part("part-a", 1), Part("part-b", 1)]
    dataset.save(Plan(parts, lambda missing: iter([("part-a", content(parts[0]))])))
    assert not dataset.exists()


def test_throughput_counts_the_time_of_making_the_parts(folder: Path) -> None:
    def slowly(missing: Sequence[Part]) -> Iterator[tuple[str, Shard]]:
        for part in missing:
            time.sleep(0.05)
            yield part.name, content(part)

    dataset = ShardsDataset(filepath=str(folder))
    dataset.save(Plan([Part("part-a", 10), Part("part-b", 10)], slowly))
    assert 20 < dataset.load().items_per_second <= 20 / 0.1


def test_writing_atomically_leaves_the_old_content_until_the_new_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "note.txt"
    write_atomically(path, "old")

    def refuse(*_: object) -> None:
        raise OSError("stopped before the renaming")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="stopped"):
            write_atomically(path, "new")
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert files(path.parent) == {"note.txt"}


KILLED = """
    import sys, time
    import torch
    from scaling_ood.datasets import ShardsDataset
    from scaling_ood.products.plans import Part, Plan

    def store(folder, pause):
        made = []

        def produce(missing):
            for part in missing:
                time.sleep(pause)
                made.append(part.name)
                yield part.name, {"x": torch.arange(part.items) * 1.5 + ord(part.name[-1])}

        parts = [Part(f"part-{name}", 50) for name in "abcdefgh"]
        ShardsDataset(filepath=folder).save(Plan(parts, produce))
        return made

    if __name__ == "__main__":
        store(sys.argv[1], 0.2)
"""


def test_after_kill_9_a_rerun_makes_the_rest_and_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(KILLED))
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, script, str(killed)], stderr=subprocess.DEVNULL)
    while len(list(killed.glob("*.safetensors"))) < 3 and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(recorded(killed))
    assert 2 <= done < 8
    assert not ShardsDataset(filepath=str(killed)).exists()

    store = runpy.run_path(str(script))["store"]
    names = [f"part-{name}" for name in "abcdefgh"]
    assert store(str(killed), 0) == names[done:]
    assert store(str(whole), 0) == names
    for name in names:
        assert (killed / f"{name}.safetensors").read_bytes() == (whole / f"{name}.safetensors").read_bytes()
    assert list(ShardsDataset(filepath=str(killed)).load().parts) == names
