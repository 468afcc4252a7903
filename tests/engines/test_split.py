"""Processes that make parts of one plan beside each other, each knowing its own turn alone."""

import json
from pathlib import Path

import pytest
import torch
from helpers.parts import Multiples, save
from helpers.toys import registered
from kedro_project import SERVER, SETTINGS

from scaling_ood.datasets import ShardsDataset
from scaling_ood.datasets.planned import PART_RECORDS, RECORD
from scaling_ood.engines import Split
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan


def plan(parts: int = 40, key: str = "key") -> Plan[dict[str, torch.Tensor]]:
    return Plan([Part(f"part-{number:02d}", 3) for number in range(parts)], Multiples(), {}, Origin(key))


def side_by_side(folder: Path, given: Plan[dict[str, torch.Tensor]], processes: int) -> None:
    """Start all processes at once, and wait until they are done.

    They are forked from one that has never computed: a child of one that has may wait for its threads for ever.
    """
    started = [SERVER.Process(target=save, args=(folder, given, k + 1, processes)) for k in range(processes)]
    for each in started:
        each.start()
    for each in started:
        each.join()
    assert [each.exitcode for each in started] == [0] * processes


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


def test_every_part_has_one_maker() -> None:
    parts = plan(37).parts
    shares = [[part.name for part in Split(k, 16).mine(parts)] for k in range(1, 17)]
    assert sorted(name for share in shares for name in share) == [part.name for part in parts]
    assert shares[2] == ["part-02", "part-18", "part-34"]


def test_sixteen_processes_at_once_leave_what_one_would(tmp_path: Path) -> None:
    side_by_side(tmp_path / "split", plan(), 16)
    ShardsDataset(filepath=str(tmp_path / "local")).save(plan())
    assert bytes_of(tmp_path / "split") == bytes_of(tmp_path / "local")
    assert list(ShardsDataset(filepath=str(tmp_path / "split")).load().parts) == [part.name for part in plan().parts]
    left = {path.name for path in (tmp_path / "split").iterdir() if path.suffix != ".safetensors"}
    assert left == {RECORD, PART_RECORDS}


def test_processes_beside_each_other_take_over_a_folder_of_another_key(tmp_path: Path) -> None:
    ShardsDataset(filepath=str(tmp_path)).save(plan(50, "other"))
    side_by_side(tmp_path, plan(), 4)
    collecting = ShardsDataset(filepath=str(tmp_path))
    assert collecting.load().origin == Origin("key")
    assert collecting.missing(plan()) == []
    assert len(bytes_of(tmp_path)) == 40  # what only the other plan had is gone


def test_the_next_whole_run_makes_what_a_lost_process_has_not(tmp_path: Path) -> None:
    for number in (1, 3):
        save(tmp_path, plan(6), number, 3)
    assert ShardsDataset(filepath=str(tmp_path)).progress() == (4, 6, False)
    (tmp_path / ".part-04.safetensors.0badcafe.part").write_bytes(b"cut")
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in bytes_of(tmp_path)}
    ShardsDataset(filepath=str(tmp_path)).save(plan(6))
    assert len(ShardsDataset(filepath=str(tmp_path)).load().parts) == 6
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in times} == times
    assert not list(tmp_path.glob(".part-*"))


def test_a_process_that_is_started_again_makes_only_what_it_lacks(tmp_path: Path) -> None:
    save(tmp_path, plan(6), 2, 3)
    (tmp_path / "part-04.safetensors").unlink()
    before = (tmp_path / "part-01.safetensors").stat().st_mtime_ns
    save(tmp_path, plan(6), 2, 3)
    assert (tmp_path / "part-01.safetensors").stat().st_mtime_ns == before
    assert sorted(bytes_of(tmp_path)) == ["part-01.safetensors", "part-04.safetensors"]


def test_a_part_is_vouched_for_by_a_record_of_its_own(tmp_path: Path) -> None:
    save(tmp_path, plan(6), 1, 3)
    assert sorted(path.stem for path in (tmp_path / PART_RECORDS).iterdir()) == ["part-00", "part-03"]
    assert len(json.loads((tmp_path / RECORD).read_text())["planned"]) == 6


@pytest.mark.parametrize("setting", SETTINGS)
def test_two_processes_make_of_real_images_what_one_makes(benches, tmp_path: Path, setting: str) -> None:
    whole = benches(setting)
    for name in whole.spec.used_networks:
        stored = whole.load(f"{name}.outputs")
        with registered():
            side_by_side(tmp_path / name, whole.made(f"{name}.outputs"), 2)
        assert bytes_of(tmp_path / name) == bytes_of(stored.folder), name
