"""Zips and tars are read alike, and damage is found in both."""

import pytest

from scaling_ood.downloads.packing import damage, open_archive

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
