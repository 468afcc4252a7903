"""Scores on disk: all of them, exactly, with what they were made from."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from scaling_ood.datasets import DamagedPartError, ScoresDataset
from scaling_ood.scores import Scores

SCORES = Scores(
    detector="kl_matching",
    options={"chunk_rows": 8},
    key="abc",
    frame=pd.DataFrame(
        {
            "id": ["a/1.jpg", "b/ä.jpg"],
            "score": [np.nextafter(0.1, 1), np.inf],
            "image_set": ["test", "far"],
            "labels": ["fine", "fine"],
            "seed": [0, 1],
        }
    ),
    gaps={"coarse": "not applicable: too few fit images"},
    diagnostics={"fine_seed0": {"templates": 4.0}},
    images_per_second=12.5,
)


def test_scores_come_back_equal_in_every_field(tmp_path: Path) -> None:
    dataset = ScoresDataset(filepath=str(tmp_path / "deep" / "kl.parquet"))
    dataset.save(SCORES)
    loaded = ScoresDataset(filepath=str(tmp_path / "deep" / "kl.parquet")).load()
    pd.testing.assert_frame_equal(loaded.frame, SCORES.frame, check_exact=True)
    for field in ("detector", "options", "key", "gaps", "diagnostics", "images_per_second"):
        assert getattr(loaded, field) == getattr(SCORES, field)


def test_an_empty_table_of_a_gap_comes_back_with_its_columns(tmp_path: Path) -> None:
    dataset = ScoresDataset(filepath=str(tmp_path / "kl.parquet"))
    gap = Scores("kl_matching", {}, "abc", SCORES.frame.iloc[:0], {"fine": "not applicable"}, {}, 0.0)
    dataset.save(gap)
    assert list(dataset.load().frame.columns) == list(SCORES.frame.columns)
    assert dataset.load().of("fine", 0) == {}


def test_a_failed_write_leaves_the_old_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ScoresDataset(filepath=str(tmp_path / "kl.parquet"))
    assert not dataset.exists()
    dataset.save(SCORES)

    def refuse(*_: object) -> None:
        raise OSError("stopped before the renaming")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DatasetError, match="stopped"):
        dataset.save(Scores("kl_matching", {}, "other", SCORES.frame, {}, {}, 1.0))
    assert dataset.exists()
    assert dataset.load().key == "abc"


def test_no_flipped_bit_changes_a_score_or_what_is_told_of_it(tmp_path: Path) -> None:
    path = tmp_path / "kl.parquet"
    dataset = ScoresDataset(filepath=str(path))
    dataset.save(SCORES)
    whole = path.read_bytes()
    read = []
    for position in range(0, len(whole), 7):
        content = bytearray(whole)
        content[position] ^= 1 << (position % 8)
        path.write_bytes(content)
        with suppress(DatasetError):
            read.append(dataset.load())
    assert len(read) < len(whole) // 7 // 2
    for loaded in read:
        pd.testing.assert_frame_equal(loaded.frame, SCORES.frame, check_exact=True)
        assert (loaded.key, loaded.options, loaded.gaps) == (SCORES.key, SCORES.options, SCORES.gaps)


def test_damaged_scores_are_named_with_what_makes_them_again(tmp_path: Path) -> None:
    path = tmp_path / "kl.parquet"
    dataset = ScoresDataset(filepath=str(path))
    dataset.save(SCORES)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        DatasetError, match=r"kl\.parquet is damaged .*: kedro run --pipelines score_extraction"
    ) as raised:
        dataset.load()
    assert isinstance(raised.value.__cause__, DamagedPartError)
