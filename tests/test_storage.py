"""Addresses, and what is put into a store and read back."""

import pickle
import sys
from functools import partial
from multiprocessing import get_context

import pytest
from botocore.exceptions import ClientError

from scaling_ood import storage
from scaling_ood.optional import MissingLibraryError


@pytest.mark.parametrize("address", ["/data/sets", "file:///data/sets", "local:///data/sets"])
def test_places_on_this_machine_are_plain_paths(address):
    assert str(storage.place(address)) == "/data/sets"
    assert not storage.is_stored(address)
    assert not storage.is_stored(storage.place(address))


@pytest.mark.parametrize("folder", [".", "./sets/", "sets//./a"])
def test_a_folder_below_another_is_there_whatever_dots_its_name_has(store, tmp_path, folder):
    address = storage.below(store.address, folder)
    storage.write(storage.place(f"{address}/a.png", store.credentials), b"1")
    assert "." not in address.split("/")
    assert storage.place(storage.below(store.address, folder)).is_dir()
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    assert storage.place(storage.below(str(tmp_path), folder)).is_dir()


def test_what_does_not_serve_is_refused_with_the_nearest_that_does():
    with pytest.raises(storage.StorageError, match=r"'gcss://' does not serve.*gcs"):
        storage.place("gcss://bucket/x")
    with pytest.raises(storage.StorageError, match=r"'https://' does not serve.*known: s3.*gs.*file"):
        storage.place("https://example.org/x")
    with pytest.raises(storage.StorageError, match=r"'S3://' does not serve.*known: s3,"):
        storage.place("S3://bucket/x")
    with pytest.raises(storage.StorageError, match="no bucket is named"):
        storage.place("s3://")
    with pytest.raises(storage.StorageError, match="two slashes: s3://<bucket>"):
        storage.place("s3:/bucket/x")


def test_a_store_whose_package_is_missing_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingLibraryError, match=r"gs://bucket/x needs the package gcsfs.*'\.\[gs\]'"):
        storage.place("gs://bucket/x")


def test_what_must_be_local_is_refused_in_words():
    with pytest.raises(storage.StorageError, match="memory://b/x: databases are read only from a local disk"):
        storage.local("memory://b/x", "databases are read")
    assert str(storage.local("/x", "databases are read")) == "/x"


def test_a_place_in_a_store_is_never_taken_for_a_local_path(store):
    with pytest.raises(TypeError):
        open(store.place("x"))  # noqa: SIM115


def test_a_file_is_written_and_read(store):
    storage.write(store.place("a/b.txt"), b"content")
    assert store.place("a/b.txt").read_text() == "content"
    assert storage.read(f"{store.address}/a/b.txt", 100) == b"content"
    assert storage.read(f"{store.address}/a/b.txt", 3) == b"con"
    assert store.names() == {"a/b.txt"}


def test_an_empty_file_is_empty_and_a_missing_one_missing(store):
    storage.write(store.place("empty"), b"")
    assert storage.read(f"{store.address}/empty", 100) == b""
    with pytest.raises(FileNotFoundError):
        storage.read(f"{store.address}/none", 100)


@pytest.mark.parametrize("name", ["a b.png", "ü#?%20.png", "a::b.png", "[1]*.png"])
def test_any_name_is_a_name(bucket, name):
    storage.write(bucket.place("names") / name, b"x")
    assert storage.names_in(bucket.place("names")) == [(name, False)]
    assert storage.read(f"{bucket.address}/names/{name}", 10) == b"x"


def test_a_folder_takes_the_place_of_the_one_before(store, tmp_path):
    for version, names in enumerate([("a", "sub/b", "record.json"), ("a", "c", "record.json")]):
        folder = tmp_path / str(version)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{name} {version}")
        storage.upload(folder, store.place("folder"), last="record.json")
    assert store.names("folder") == {"a", "c", "record.json"}
    assert store.place("folder/a").read_text() == "a 1"
    with storage.local_copy(store.place("folder")) as copy:
        assert sorted(path.name for path in copy.iterdir()) == ["a", "c", "record.json"]
    storage.remove(store.place("folder"))
    storage.remove(store.place("folder"))
    assert store.names("folder") == set()


def test_a_folder_is_moved_with_its_last_file_at_the_end(store, monkeypatch):
    for name in ("run.json", "figures/a.html", "figures/b.html"):
        storage.write(store.place("old") / name, name.encode())
    copied, removed = [], []
    system = store.place().fs
    copy, rm, rm_file = system.copy, system.rm, system.rm_file
    monkeypatch.setattr(system, "copy", lambda a, b, **o: (copied.append(len(a)), copy(a, b, **o)))
    monkeypatch.setattr(system, "rm", lambda a, **o: (removed.append("others"), rm(a, **o)))
    monkeypatch.setattr(system, "rm_file", lambda a: (removed.append(a.rpartition("/")[2]), rm_file(a)))
    storage.move(store.place("old"), store.place("new"), last="run.json")
    assert copied == [2, 1]
    assert removed[:2] == ["run.json", "others"]
    assert store.names() == {"new/run.json", "new/figures/a.html", "new/figures/b.html"}
    assert store.place("new/figures/b.html").read_bytes() == b"figures/b.html"


def test_looks_tell_that_something_changed(store):
    assert storage.looks(store.place("x")) == ""
    storage.write(store.place("x"), b"1")
    before = storage.looks(store.place("x"))
    assert before == storage.looks(store.place("x")) != ""
    storage.write(store.place("x"), b"2")
    assert storage.looks(store.place("x")) != before


def test_one_listing_tells_of_a_whole_tree(bucket, monkeypatch):
    for name in ("train/cat/1.png", "train/dog/2.png", "lists/train.txt"):
        storage.write(bucket.place("set") / name, b"x")
    folder = storage.listed_at_once(bucket.place("set"))
    from s3fs import S3FileSystem

    asked: list[str] = []
    call = S3FileSystem._call_s3

    async def counted(self, method, *args, **options):
        asked.append(method)
        return await call(self, method, *args, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    assert storage.names_in(folder) == [("lists", True), ("train", True)]
    assert [path.name for path in sorted((folder / "train").iterdir())] == ["cat", "dog"]
    assert (folder / "train/cat").is_dir()
    assert (folder / "train/cat/1.png").is_file()
    assert asked == []
    assert not (folder / "train/cow").is_dir()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_can_open_what_it_is_sent(bucket, method):
    storage.write(bucket.place("a.png"), b"pixels")
    address = storage.address_of(bucket.place("a.png"))
    storage.read(address, 100)  # opened here too
    with get_context(method).Pool(1) as pool:
        assert pool.map(partial(storage.read, most=100), [address]) == [b"pixels"]


def test_an_address_brings_what_opens_it(bucket, monkeypatch):
    sent = pickle.dumps([storage.address_of(bucket.place(str(number))) for number in range(100)])
    assert sent.count(b"endpoint_url") == 1
    monkeypatch.setattr(storage, "_access", {})
    assert pickle.loads(sent)[3] == f"{bucket.address}/3"
    assert storage._access_of(f"{bucket.address}/3") == bucket.credentials


def test_errors_of_a_store_are_told_in_words():
    place = storage.place("s3://bucket/x", {"key": "a", "secret": "b", "endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(Exception, match="Could not connect") as raised:
        place.read_bytes()
    assert storage.problem(raised.value).startswith("The object store did not do what was asked (EndpointConnection")
    assert storage.problem(ValueError("x")) == ""


def test_a_bucket_that_is_not_there_and_a_key_that_opens_nothing_are_told_with_what_to_do(bucket):
    with pytest.raises(FileNotFoundError) as raised:
        storage.write(storage.place("s3://no-such-bucket/x", bucket.credentials), b"1")
    assert storage.problem(raised.value).endswith("A run makes no bucket: make no-such-bucket first")
    refused = PermissionError("Access Denied")
    refused.__cause__ = ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")
    assert "Access Denied). What opens it is the entry of credentials.yml" in storage.problem(refused)
    assert storage.problem(PermissionError("of a local disk")) == ""


def test_a_file_that_is_not_in_a_store_is_no_problem_of_the_store(bucket):
    with pytest.raises(FileNotFoundError) as raised:
        bucket.place("none").read_bytes()
    assert storage.problem(raised.value) == ""
