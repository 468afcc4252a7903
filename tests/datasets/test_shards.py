"""Tensors in shards: exact, and damage is named."""

from pathlib import Path

import pytest
import torch

from scaling_ood.datasets import ShardsDataset
from scaling_ood.products.kept_files import DamagedPartError
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.stored import StoredShards

TENSORS = {
    "logits": torch.tensor([[1.5, -0.0], [float("inf"), 1e-45]]),
    "half": torch.tensor([0.1, 0.2], dtype=torch.bfloat16),
    "strided": torch.arange(6.0).reshape(2, 3).T,
}


@pytest.fixture
def stored(tmp_path: Path) -> StoredShards:
    dataset = ShardsDataset(filepath=str(tmp_path / "shards"))
    dataset.save(Plan([Part("a", 2), Part("b", 2)], lambda parts: ((part.name, TENSORS) for part in parts)))
    return dataset.load()


def test_tensors_come_back_bit_for_bit_with_their_types(stored: StoredShards) -> None:
    read = stored.read("a")
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)
    assert torch.signbit(read["logits"][0, 1])


@pytest.mark.parametrize("position", [0, -1])
def test_a_single_flipped_bit_is_named_with_file_and_remedy(stored: StoredShards, position: int) -> None:
    path = stored.folder / "b.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    remedy = r"b\.safetensors is damaged\. What is damaged is made again by: kedro run$"
    with pytest.raises(DamagedPartError, match=remedy):
        stored.read("b")
    assert stored.read("a")


def test_a_truncated_part_is_named(stored: StoredShards) -> None:
    path = stored.folder / "a.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DamagedPartError, match=r"a\.safetensors is damaged"):
        stored.read("a")


def test_a_missing_part_is_named(stored: StoredShards) -> None:
    (stored.folder / "a.safetensors").unlink()
    with pytest.raises(DamagedPartError, match=r"a\.safetensors is damaged"):
        stored.read("a")


def test_a_damaged_part_is_made_again(stored: StoredShards) -> None:
    (stored.folder / "a.safetensors").write_bytes(b"rubbish")
    dataset = ShardsDataset(filepath=str(stored.folder))
    dataset.save(Plan([Part("a", 2), Part("b", 2)], lambda parts: ((part.name, TENSORS) for part in parts)))
    assert torch.equal(dataset.load().read("a")["logits"], TENSORS["logits"])
