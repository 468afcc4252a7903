"""The files of a report: each under its own name, in the form of its content."""

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import DatasetError
from matplotlib.figure import Figure
from PIL import Image

from scaling_ood.datasets import ReportDataset

TABLE = pd.DataFrame({"detector": ["größe"], "auroc": [0.5]})


def content() -> dict[str, object]:
    return {
        "report.html": "<p>größe</p>",
        "results.txt": "größe",
        "overview": go.Figure(go.Bar(y=[1, 2])),
        "examples": Figure(figsize=(1, 1)),
        "granularity": TABLE,
    }


def test_each_file_has_the_ending_of_its_content_and_text_is_utf_8(tmp_path: Path) -> None:
    report = ReportDataset(filepath=str(tmp_path / "new" / "report"))
    assert not report.exists()
    report.save(content())
    files = report.load()
    assert list(files) == ["examples.png", "granularity.csv", "overview.json", "report.html", "results.txt"]
    assert files["report.html"].read_text(encoding="utf-8") == "<p>größe</p>"
    pd.testing.assert_frame_equal(pd.read_csv(files["granularity.csv"], encoding="utf-8"), TABLE)
    with Image.open(files["examples.png"]) as image:
        assert image.size == (150, 150)
    assert report.exists()
    assert report.preview()["data"][0]["type"] == "bar"


def test_other_files_in_the_folder_stay_and_there_is_a_preview_without_figures(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("mine")
    report = ReportDataset(filepath=str(tmp_path))
    report.save({"report.html": "new"})
    assert report.load().keys() == {"report.html", "results.csv"}
    assert report.preview() == {}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = ReportDataset(filepath=str(tmp_path))
    report.save({"report.html": "old"})

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", refuse)
        with pytest.raises(DatasetError, match="no space left"):
            report.save({"report.html": "new"})
    assert report.load()["report.html"].read_text() == "old"
