"""Text is UTF-8 in every locale, and printing never fails: also where the locale knows ASCII alone."""

import ast
import logging
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from scaling_ood.part_run import PartRunner
from scaling_ood.terminal import silence_advice

ROOT = Path(__file__).parents[1]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
WORDS = "Füße → 日本 …"


def definition(name):
    """A text or a table of the project's catalog, without its place."""
    entry = catalog()[name]
    return {key: entry[key] for key in ("type", "fs_args", "save_args") if key in entry}


def catalog():
    return yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text(encoding="utf-8"))


def test_a_locale_that_knows_ascii_alone_changes_nothing(tmp_path):
    """One process for all of it: what it imports takes longer than what it does."""
    (tmp_path / "data/grün").mkdir(parents=True)
    (tmp_path / "data/grün/日本.jpg").write_bytes(b"content")
    code = f"""
import sys
from pathlib import Path

import pandas as pd
from kedro.io import AbstractDataset, DataCatalog
from kedro.pipeline import Node, Pipeline

import scaling_ood.settings
from scaling_ood.datasets import ReportDataset
from scaling_ood.hooks import ProjectHooks
from scaling_ood.images.files import read_file
from scaling_ood.images.listing import list_files
from scaling_ood.products.kept_files import write_atomically

assert "utf" not in (sys.stdout.encoding + sys.getfilesystemencoding()).lower()
words = {WORDS!a}

[entry] = list_files("class_folders", Path("data"))
assert (entry.path, entry.class_name) == ({"grün/日本.jpg"!a}, {"grün"!a})
assert read_file("data/" + entry.path) == b"content"

text = AbstractDataset.from_config("text", {{**{definition("tables_html")}, "filepath": "a.html"}})
text.save(words)
assert text.load() == words
table = AbstractDataset.from_config("table", {{**{definition("{setting}.quarantine")}, "filepath": "a.csv"}})
table.save(pd.DataFrame({{"path": [words]}}))
assert table.load()["path"].tolist() == [words]
write_atomically(Path("a.json"), words)

catalog = DataCatalog({{"a.report": ReportDataset(filepath="report")}})
catalog["a.report"].save({{"report.html": words, "results.txt": words}})
ProjectHooks().after_pipeline_run(Pipeline([Node(lambda given: given, "in", "a.report", name="n")]), catalog)
print(words)
"""
    environment = {**os.environ, **ASCII, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert WORDS.encode("ascii", "backslashreplace") in done.stdout
    for name in ("a.html", "a.json", "report/report.html"):
        assert (tmp_path / name).read_text(encoding="utf-8") == WORDS
    assert pd.read_csv(tmp_path / "a.csv")["path"].tolist() == [WORDS]


def test_no_file_of_text_is_read_or_written_in_the_locales_encoding():
    bare = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("read_text", "write_text")
        and "encoding" not in {keyword.arg for keyword in call.keywords}
    ]
    assert bare == []


@pytest.mark.parametrize(("kind", "ways"), [("text.TextDataset", ("save", "load")), ("pandas.CSVDataset", ("save",))])
def test_every_text_of_the_catalog_is_utf8(kind, ways):
    entries = [entry for name, entry in catalog().items() if not name.startswith("_")]
    definitions = [entry["dataset"] if "partitions" in entry["type"] else entry for entry in entries]
    mine = [entry for entry in definitions if isinstance(entry, dict) and entry["type"] == kind]
    assert len(mine) >= 2
    for entry in mine:
        assert all(entry["fs_args"][f"open_args_{way}"]["encoding"] == "utf-8" for way in ways)


@pytest.mark.parametrize("kind", [SequentialRunner, PartRunner])
def test_what_kedro_advises_is_not_shown_and_the_rest_is(caplog, kind):
    silence_advice()
    runner = logging.getLogger(kind.__module__)
    with caplog.at_level(logging.INFO, runner.name):
        kind()._suggest_resume_scenario(Pipeline([]), [], DataCatalog())
        runner.info("Completed node: %s", "a")
    assert caplog.messages == ["Completed node: a"]
