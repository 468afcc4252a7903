"""Zips and tars are read alike, and damage is found in both."""

import bz2
import gzip
import lzma
import shutil
import tarfile
import time
import zipfile

import pytest

from scaling_ood.downloads import packing
from scaling_ood.downloads.packing import RefusedArchiveError, damage, open_archive

from .conftest import tarred, zipped

MEMBERS = {"top/b.bin": b"b" * 5000, "top/a.bin": bytes(range(256)) * 20, "list.txt": b"1\n"}


@pytest.fixture(params=["zip", "tar", "tar.gz", "dotted tar"])
def archive(request, tmp_path):
    path = tmp_path / "archive"
    names = {f"./{name}": content for name, content in MEMBERS.items()} if request.param == "dotted tar" else MEMBERS
    path.write_bytes(zipped(MEMBERS) if request.param == "zip" else tarred(names, compressed=request.param == "tar.gz"))
    return path


def test_members_are_read_by_name_in_the_archives_order(archive):
    with open_archive(archive) as opened:
        assert opened.namelist() == list(MEMBERS)
        assert {name: opened.read(name) for name in reversed(opened.namelist())} == MEMBERS
        with opened.open("top/b.bin") as file:
            assert file.read(3) == b"bbb"
        with pytest.raises(KeyError):
            opened.read("absent.txt")


def test_links_and_folders_are_no_members_of_a_tar(tmp_path):
    (tmp_path / "archive").write_bytes(tarred(MEMBERS, link=("escape", "/etc/passwd"), folder="top"))
    with open_archive(tmp_path / "archive") as opened:
        assert opened.namelist() == list(MEMBERS)


def test_a_whole_archive_has_no_damage(archive):
    assert damage(archive) == ""


def test_what_is_cut_off_is_found(archive):
    # A tar ends with empty blocks, which nobody misses; the checksum of a compressed one is its last 8 bytes.
    content = archive.read_bytes()
    archive.write_bytes(content[:8000] if b"ustar" in content else content[:-4])
    assert damage(archive)


@pytest.mark.parametrize("content", [b"<html>Sign in</html>", b""])
def test_what_is_no_archive_is_found_in_one_line(tmp_path, content):
    (tmp_path / "archive").write_bytes(content)
    assert damage(tmp_path / "archive")
    assert "\n" not in damage(tmp_path / "archive")


def test_changed_bytes_of_a_compressed_tar_are_found(tmp_path):
    content = bytearray(tarred(MEMBERS, compressed=True))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "archive").write_bytes(content)
    assert damage(tmp_path / "archive")


def refusal(path):
    """Why an archive is not unpacked, within three seconds."""
    started = time.perf_counter()
    with pytest.raises(RefusedArchiveError) as caught:
        damage(path)
    assert time.perf_counter() - started < 3
    return str(caught.value)


def of_zeros(size):
    """A tar with the header of a member of that size, and the first megabyte of it."""
    member = tarfile.TarInfo("top/zeros.jpg")
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT) + bytes(10**6)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_small_tar_that_fills_the_disk_is_refused(tmp_path, pack):
    (tmp_path / "archive").write_bytes(pack(of_zeros(93 * 2**30)))
    assert "it unpacks to 99.9 GB or more, over 100 times its" in refusal(tmp_path / "archive")


def test_zeros_after_the_end_of_a_tar_count_too(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "LITTLE_BYTES", 10**7)
    (tmp_path / "archive").write_bytes(gzip.compress(tarred(MEMBERS) + bytes(5 * 10**7)))
    assert "over 100 times its" in refusal(tmp_path / "archive")


def test_a_small_zip_that_fills_the_disk_is_refused(tmp_path):
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/zeros.jpg", bytes(10**6))
    assert damage(path) == ""  # small in any case
    content = path.read_bytes()
    claimed = (2**32 - 2).to_bytes(4, "little")  # of the entry in the list at the end
    start = content.index(b"PK\x01\x02") + 24
    path.write_bytes(content[:start] + claimed + content[start + 4 :])
    assert "it unpacks to 4.3 GB or more, over 100 times its" in refusal(path)


@pytest.mark.parametrize("write", [zipped, tarred])
def test_more_files_than_any_set_has(tmp_path, monkeypatch, write):
    monkeypatch.setattr(packing, "MOST_MEMBERS", 2)
    (tmp_path / "archive").write_bytes(write(MEMBERS))
    assert refusal(tmp_path / "archive") == "it holds more than 2 files"


@pytest.mark.parametrize("write", [zipped, tarred])
def test_a_disk_without_room_is_told_before_anything_is_unpacked(tmp_path, monkeypatch, write):
    usage = shutil.disk_usage(tmp_path)._replace(free=6000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (tmp_path / "archive").write_bytes(write(MEMBERS))
    assert "and the disk has 6.0 kB" in refusal(tmp_path / "archive")


def patched(content, start, old, new):
    """The same bytes with a field of each local and central entry replaced."""
    for magic, offset in ((b"PK\x03\x04", start), (b"PK\x01\x02", start + 2)):
        place = content.index(magic) + offset
        assert content[place : place + len(old)] == old
        content = content[:place] + new + content[place + len(old) :]
    return content


def test_encrypted_members_are_told_in_words(tmp_path):
    (tmp_path / "archive").write_bytes(patched(zipped({"top/a.jpg": b"a"}), 6, b"\0\0", b"\1\0"))
    assert refusal(tmp_path / "archive") == "top/a.jpg is encrypted; no set here has a password"


@pytest.mark.parametrize(("method", "name"), [(9, "Deflate64"), (14 + 3, "17"), (98, "PPMd")])
def test_compressions_that_python_cannot_read_are_told_in_words(tmp_path, method, name):
    content = zipped({"top/a.jpg": b"a"})
    old = content[8:10]
    (tmp_path / "archive").write_bytes(patched(content, 8, old, method.to_bytes(2, "little")))
    text = refusal(tmp_path / "archive")
    assert text.startswith(f"top/a.jpg is compressed by method {name}, which Python cannot read: unpack it with 7-Zip")
