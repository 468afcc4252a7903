"""The paper's public sets, from their hosts' archives to folders that the readers read; the others are told."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from image_trees import images_of
from python2_pickles import python2_pickle

from scaling_ood.downloads import BY_HAND, PAPER, DownloadError, cli
from scaling_ood.images import list_files

from .conftest import fetched, tarred, zipped

SOURCES = {source.name: source for source in PAPER}
BATCH = python2_pickle({"data": np.zeros((2, 3072), np.uint8), "labels": [1, 0]})
ARCHIVES = {
    "places365/filelist": tarred(
        {
            "categories_places365.txt": b"/a/airfield 0\n/b/bow_window/indoor 1\n",
            "places365_val.txt": b"Places365_val_00000001.jpg 1\nPlaces365_val_00000002.jpg 0\n",
            "places365_train_standard.txt": b"",
            "places365_test.txt": b"",
            "places365_train_challenge.txt": b"",
        }
    ),
    "places365/val_256": tarred({f"val_256/Places365_val_0000000{n}.jpg": b"photograph" for n in (1, 2)}),
    "dtd": tarred(
        {
            "dtd/images/banded/banded_0001.jpg": b"1",
            "dtd/images/polka-dotted/polka-dotted_0002.jpg": b"2",
            "dtd/images/banded/.directory": b"",
            "dtd/imdb/imdb.mat": b"",
            "dtd/labels/train1.txt": b"banded/banded_0001.jpg\n",
            "dtd/labels/val1.txt": b"polka-dotted/polka-dotted_0002.jpg\n",
            "dtd/labels/test1.txt": b"",
            "dtd/labels/train2.txt": b"",
        },
        compressed=True,
    ),
    "lsun": zipped({"test_lmdb/data.mdb": b"database", "test_lmdb/lock.mdb": b"locks"}),
    "cifar10": tarred(
        {
            **{f"cifar-10-batches-py/data_batch_{n}": BATCH for n in range(1, 6)},
            "cifar-10-batches-py/test_batch": BATCH,
            "cifar-10-batches-py/batches.meta": python2_pickle({"label_names": ["airplane", "bird"]}),
            "cifar-10-batches-py/readme.html": b"",
        },
        compressed=True,
    ),
}


@pytest.fixture
def small(host):
    """The sources, with small archives on this machine; counts of images are those of the small archives."""

    def source(name):
        archive, official = ARCHIVES[name], SOURCES[name]
        path = f"/{Path(official.url).name}"
        host.archives[path] = archive
        counts = {36_500: 2, 47: 2, 5_640: 2}
        return replace(
            official,
            url=f"{host.url}{path}",
            checksum=official.checksum and f"md5:{hashlib.md5(archive).hexdigest()}",
            expected=tuple(replace(each, count=counts.get(each.count, each.count)) for each in official.expected),
        )

    return source


@pytest.mark.parametrize("name", SOURCES)
def test_a_set_is_fetched_laid_out_and_known_the_second_time(small, tmp_path, name):
    source = small(name)
    assert fetched(source, tmp_path) == "fetched"
    assert fetched(source, tmp_path) == "already complete"
    assert not (tmp_path / ".archives").exists()
    assert not list(tmp_path.rglob(".*.unpacking"))


def test_fetched_sets_are_what_the_readers_read(small, tmp_path):
    for name in SOURCES:
        fetched(small(name), tmp_path)
    listed = {name: images_of(list_files(name, tmp_path / name)) for name in ("places365", "dtd", "cifar10")}
    assert [(entry.path, entry.class_name) for entry in listed["places365"]] == [
        ("val_256/Places365_val_00000001.jpg", "bow_window/indoor"),
        ("val_256/Places365_val_00000002.jpg", "airfield"),
    ]
    assert [(entry.split, entry.class_name) for entry in listed["dtd"]] == [
        ("train", "banded"),
        ("val", "polka-dotted"),
    ]
    assert len(listed["cifar10"]) == 12
    assert [path.name for path in (tmp_path / "lsun" / "test_lmdb").iterdir()] == ["data.mdb"]


@pytest.mark.parametrize("name", ["dtd", "places365/val_256"])
def test_a_set_that_is_not_complete_is_refused(small, tmp_path, name):
    short = small(name)
    short = replace(short, expected=(*short.expected, replace(short.expected[0], count=9)))
    with pytest.raises(DownloadError, match="does not hold what is expected: 2 "):
        fetched(short, tmp_path)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "archive"),
    [("dtd", "dtd.tar.gz"), ("places365/val_256", "places365/val_256.tar"), ("lsun", "lsun.zip")],
)
def test_an_archive_put_there_by_hand_is_taken(small, host, tmp_path, name, archive):
    source = replace(small(name), url=small(name).url.replace(host.url, "http://127.0.0.1:9"))
    with pytest.raises(DownloadError) as caught:
        fetched(source, tmp_path)
    assert f"save that archive as {tmp_path / '.archives' / archive} and" in str(caught.value)
    assert f"or lay the set out below {tmp_path}:" in str(caught.value)
    (tmp_path / ".archives" / archive).write_bytes(ARCHIVES[name])
    assert fetched(source, tmp_path) == "fetched"


def test_every_source_states_its_terms_and_all_but_lsun_a_checksum():
    assert all(source.terms and source.expected for source in PAPER)
    assert {source.name for source in PAPER if not source.checksum} == {"lsun"}


def test_what_must_be_got_by_hand_is_told_whole(tmp_path):
    for each in BY_HAND:
        message = each.message(tmp_path)
        assert each.name in message
        assert "http" in message
        assert f"  Terms: {each.terms}" in message
        assert f"Lay it out below {tmp_path}:\n    {each.name}" in message


def test_the_command_tells_what_is_missing_and_fetches_the_rest(small, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "PAPER", tuple(small(name) for name in SOURCES))
    (tmp_path / "species" / "Fungi").mkdir(parents=True)
    (tmp_path / "imagenet").mkdir()
    result = CliRunner().invoke(cli.main, ["paper", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for name in ("imagenet", "imagenet21k", "places69", "weights/resnet50_places365.pth.tar"):
        assert f"{name}: " in result.output
    assert "species: " not in result.output
    assert "  fetched: 2 validation photographs" in result.output
    assert (tmp_path / "cifar10" / "cifar-10-batches-py" / "test_batch").is_file()


def test_one_set_alone(small, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "PAPER", tuple(small(name) for name in SOURCES))
    result = CliRunner().invoke(cli.main, ["paper", str(tmp_path), "--only", "places365"])
    assert result.exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".fetching.lock",
        "downloads.lock.json",
        "places365",
    ]
    assert "by hand" not in result.output
    result = CliRunner().invoke(cli.main, ["paper", str(tmp_path), "--only", "species"])
    assert result.exit_code == 0
    assert "Table 7" in result.output
    result = CliRunner().invoke(cli.main, ["paper", "--only", "specie"])
    assert result.exit_code == 2
