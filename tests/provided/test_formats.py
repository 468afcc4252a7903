from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from scaling_ood.provided import ProvidedError, read_provided

LOGITS = np.array([[0.5, 2.0, -1.0], [3.0, 0.0, 0.25]], np.float32)
FEATURES = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
TARGETS, IDS = np.array([1, 0]), ["a", "b"]


def npz(place: Path) -> None:
    np.savez(place / "test.npz", logits=LOGITS, features=FEATURES, targets=TARGETS, ids=np.array(IDS))


def npy_by_field(place: Path) -> None:
    (place / "test").mkdir()
    for name, each in {"logits": LOGITS, "features": FEATURES, "targets": TARGETS, "ids": np.array(IDS)}.items():
        np.save(place / "test" / f"{name}.npy", each)


def safetensors(place: Path) -> None:
    fields = {"logits": LOGITS, "features": FEATURES, "targets": TARGETS}
    save_file({name: torch.tensor(each) for name, each in fields.items()}, place / "test.safetensors")


def frame() -> pd.DataFrame:
    columns = {f"logits_{number}": LOGITS[:, number] for number in (2, 0, 1)}
    columns |= {f"features_{number}": FEATURES[:, number] for number in range(2)}
    return pd.DataFrame({**columns, "targets": TARGETS, "ids": IDS})


def csv(place: Path) -> None:
    frame().to_csv(place / "test.csv", index=False)


def parquet(place: Path) -> None:
    frame().to_parquet(place / "test.parquet")


def parquet_of_lists(place: Path) -> None:
    lists = {"logits": list(LOGITS), "features": list(FEATURES), "targets": TARGETS, "ids": IDS}
    pd.DataFrame(lists).to_parquet(place / "test.parquet")


def several_files(place: Path) -> None:
    (place / "test").mkdir()
    for row in (1, 0):
        fields = {"logits": LOGITS, "features": FEATURES, "targets": TARGETS, "ids": np.array(IDS)}
        np.savez(place / "test" / f"part-{row}.npz", **{name: each[row : row + 1] for name, each in fields.items()})


WAYS = [npz, npy_by_field, safetensors, csv, parquet, parquet_of_lists, several_files]


@pytest.mark.parametrize("write", WAYS)
def test_every_format_reads_the_same(write, tmp_path):
    write(tmp_path)
    np.save(tmp_path / "odd.npy", LOGITS)
    rows = [read() for read in read_provided(str(tmp_path)).sets["test"].parts]
    assert torch.cat([each.logits for each in rows]).numpy() == pytest.approx(LOGITS)
    assert torch.cat([each.features for each in rows]).numpy() == pytest.approx(FEATURES)
    assert torch.cat([each.targets for each in rows]).tolist() == [1, 0]
    if write is not safetensors:  # which holds no text
        assert [name for each in rows for name in each.ids] == IDS


def test_half_precision_and_bfloat16_are_taken(tmp_path):
    save_file({"logits": torch.tensor(LOGITS).bfloat16()}, tmp_path / "test.safetensors")
    np.save(tmp_path / "odd.npy", LOGITS.astype(np.float16))
    found = read_provided(str(tmp_path))
    assert found.sets["test"].parts[0]().logits.dtype == torch.bfloat16
    assert found.sets["odd"].parts[0]().logits.dtype == torch.float16


def test_files_that_would_run_code_are_refused(tmp_path):
    np.savez(tmp_path / "test.npz", logits=np.array([{}], dtype=object))
    np.save(tmp_path / "odd.npy", LOGITS)
    with pytest.raises(ProvidedError, match=r"test\.npz cannot be read: it holds Python objects"):
        read_provided(str(tmp_path)).sets["test"].parts[0]()


def test_names_that_nobody_knows_are_told_with_the_nearest(tmp_path):
    np.savez(tmp_path / "test.npz", logit=LOGITS)
    np.save(tmp_path / "odd.npy", LOGITS)
    with pytest.raises(ProvidedError, match="'logit'; did you mean 'logits'"):
        read_provided(str(tmp_path)).sets["test"].parts[0]()


def test_columns_that_are_not_numbered_from_zero_are_refused(tmp_path):
    pd.DataFrame({"logits_1": [0.0], "logits_2": [1.0]}).to_csv(tmp_path / "test.csv", index=False)
    np.save(tmp_path / "odd.npy", LOGITS)
    with pytest.raises(ProvidedError, match="are not numbered 0 to 1"):
        read_provided(str(tmp_path)).sets["test"].parts[0]()
