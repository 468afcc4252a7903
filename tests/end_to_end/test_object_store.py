"""A whole run in an object store, images and all: the same tables as on the disk."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from kedro_project import ROOT, Project
from object_store import Bucket

from scaling_ood import storage

pytestmark = pytest.mark.slow

SETTING = "multi_label"
BOTH = (SETTING, "segmentation")  # the rendered scenes of the other one lie in the root itself
GUIDE = (ROOT / "docs/running.md").read_text(encoding="utf-8").split("\n## In an object store\n")[1].split("\n## ")[0]


def block(language: str, word: str) -> str:
    """Of the guide, the block of that language that has the word."""
    blocks = [each.split("\n", 1) for each in GUIDE.split("```")[1::2]]
    return next(text for kind, text in blocks if kind == language and word in text)


@pytest.fixture(scope="module")
def in_store(tmp_path_factory: pytest.TempPathFactory, s3_server: str) -> tuple[Project, Bucket, str]:
    """A project whose products are in a bucket, by the guide's own words; and what the run printed."""
    bucket = Bucket("s3://my-bucket", {"key": "a", "secret": "b", "endpoint_url": s3_server})
    place = bucket.place()
    place.fs.mkdir("my-bucket")  # type: ignore[attr-defined]
    project = Project.copy(tmp_path_factory.mktemp("store") / "project")
    conf = project.path / "conf/test"
    (conf / "globals.yml").write_text(block("yaml", "store: "))
    given = yaml.safe_load(block("yaml", "endpoint_url"))
    given["object_store"] |= bucket.credentials
    (conf / "credentials.yml").write_text(yaml.safe_dump(given))
    return project, bucket, project.run("--namespaces", ",".join(BOTH)).output


def stored(bucket: Bucket, layer: str, name: str, setting: str = SETTING) -> Path:
    return bucket.place(f"scaling-ood/{layer}/test/{setting}/{name}")


def test_the_tables_are_those_of_the_disk(in_store, finished):
    project, bucket, _ = in_store
    for setting in BOTH:
        with stored(bucket, "08_reporting", "results.csv", setting).open() as file:
            pd.testing.assert_frame_equal(pd.read_csv(file), finished.results(setting))
    assert [path for path in (project.path / "data").rglob("*") if path.is_file()] == []
    assert list(project.path.glob("s3:*")) == []


def test_the_report_is_announced_by_its_address(in_store):
    _, bucket, printed = in_store
    assert f"Report: {stored(bucket, '08_reporting', 'report.html')}" in printed


def test_rendered_images_are_there_too(in_store):
    _, bucket, _ = in_store
    assert any(name.endswith(".jpg") for name in bucket.names(f"scaling-ood/01_raw/test/{SETTING}"))


def test_a_second_run_makes_nothing_again_and_a_lost_shard_anew(in_store, monkeypatch):
    project, bucket, _ = in_store
    names = bucket.names(f"scaling-ood/07_model_output/test/{SETTING}")
    lost = next(name for name in sorted(names) if name.endswith(".safetensors") and "/test-" in name)
    storage.remove(stored(bucket, "07_model_output", lost))
    put: list[str] = []
    upload = storage.upload
    monkeypatch.setattr(storage, "upload", lambda a, where, last: (put.append(where.name), upload(a, where, last)))
    project.run("--pipelines", "score_extraction", "--namespaces", f"{SETTING}.classifier")
    assert [name for name in put if name.endswith(".safetensors")] == [Path(lost).name]


def test_no_lock_is_left(in_store):
    _, bucket, _ = in_store
    assert not any(".running" in name for name in bucket.names())


def test_what_is_missing_is_told_with_its_address(in_store, tmp_path):
    project, _, _ = in_store
    empty = project.twin(tmp_path / "empty")
    (empty.path / "conf/test/globals.yml").write_text("store: s3://my-bucket/nothing\ncredentials: object_store\n")
    outcome = empty.kedro("run", "--pipelines", "metric_reporting", "--namespaces", SETTING)
    outcome.refused(f"s3://my-bucket/nothing/02_manifests/test/{SETTING}/manifest")


def test_a_store_that_does_not_answer_and_one_that_is_not_served_are_told_in_words(in_store, tmp_path):
    project, _, _ = in_store
    other = project.twin(tmp_path / "other")
    (other.path / "conf/test/credentials.yml").write_text(
        "object_store: {key: a, secret: b, endpoint_url: 'http://127.0.0.1:9'}\n"
    )
    other.kedro("run", "--namespaces", SETTING).refused("The object store did not do what was asked", "127.0.0.1:9")
    (other.path / "conf/test/globals.yml").write_text("store: ftp://host/x\n")
    other.kedro("run", "--namespaces", SETTING).refused("'ftp://' does not serve")


def test_the_guides_commands_are_commands():
    for line in GUIDE.splitlines():
        if line.startswith("kedro run"):
            assert shlex.split(line)[:2] == ["kedro", "run"]
