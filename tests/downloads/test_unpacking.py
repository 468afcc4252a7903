"""Zips and tars are laid out alike; what is damaged or hostile is not."""

import bz2
import gzip
import io
import lzma
import re
import shutil
import tarfile
import time
import zipfile

import pytest

from scaling_ood.downloads import unpacking
from scaling_ood.downloads.unpacking import DAMAGES, unpack

from .conftest import tarred, zipped

MEMBERS = {"top/b.bin": b"b" * 5000, "top/deep/a.bin": bytes(range(256)) * 20, "list.txt": b"1\n"}
FORMS = {
    "zip": zipped(MEMBERS),
    "tar": tarred(MEMBERS),
    "tar.gz": tarred(MEMBERS, compressed=True),
}


@pytest.fixture
def laid_out(tmp_path):
    """Unpacks an archive into a folder, and returns the folder's files."""

    def lay_out(content, place=lambda name: name):
        archive, folder = tmp_path / "archive", tmp_path / "deep" / "set"
        archive.write_bytes(content)
        folder.mkdir(parents=True)
        try:
            unpack(archive, place, folder)
        finally:
            everywhere = {path for path in tmp_path.rglob("*") if not path.is_dir() or path.is_symlink()}
            assert all(folder in path.parents for path in everywhere - {archive})
            assert not any(path.is_symlink() for path in everywhere)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return lay_out


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_files_go_where_they_are_placed_or_are_left_out(laid_out, content):
    places = {"top/b.bin": "x/y.bin", "list.txt": "list.txt"}
    assert laid_out(content, places.get) == {"x/y.bin": MEMBERS["top/b.bin"], "list.txt": b"1\n"}


@pytest.mark.parametrize("write", [zipped, tarred])
@pytest.mark.parametrize("name", ["../up.jpg", "a/../../up.jpg", "/up.jpg"])
def test_a_file_that_would_leave_the_folder_is_refused(laid_out, write, name):
    with pytest.raises(ValueError, match=f"its file {re.escape(name)} would leave the folder"):
        laid_out(write({name: b"1"}))


def test_links_and_devices_are_never_made(laid_out, tmp_path):
    links = [
        (tarfile.SYMTYPE, "up", str(tmp_path)),
        (tarfile.LNKTYPE, "passwd", "/etc/passwd"),
        (tarfile.CHRTYPE, "zero", ""),
        (tarfile.DIRTYPE, "top", ""),
    ]
    assert laid_out(tarred(MEMBERS | {"up/escaped.jpg": b"1"}, links=links)) == MEMBERS | {"up/escaped.jpg": b"1"}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_cut_off_is_damaged(laid_out, form):
    # A tar ends with empty blocks, which nobody misses.
    with pytest.raises(DAMAGES):
        laid_out(FORMS[form][: 8000 if form == "tar" else len(FORMS[form]) // 2])


@pytest.mark.parametrize("content", [b"<html>Sign in</html>", b""])
def test_what_is_no_archive_is_damaged(laid_out, content):
    with pytest.raises(DAMAGES):
        laid_out(content)


def refusal(laid_out, content):
    """Why an archive is not laid out, within three seconds."""
    started = time.perf_counter()
    with pytest.raises((ValueError, RuntimeError)) as caught:
        laid_out(content)
    assert time.perf_counter() - started < 3
    return str(caught.value)


def of_zeros(size):
    """A tar with the header of a member of that size, and the first megabyte of it."""
    member = tarfile.TarInfo("top/zeros.jpg")
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT) + bytes(10**6)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_small_tar_that_fills_the_disk_is_refused(laid_out, pack):
    text = refusal(laid_out, pack(of_zeros(93 * 2**30)))
    assert "it unpacks to 99.9 GB or more, over 100 times its" in text


def test_a_small_zip_that_fills_the_disk_is_refused(laid_out):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/zeros.jpg", bytes(10**6))
    content = file.getvalue()
    claimed = (2**32 - 2).to_bytes(4, "little")  # of the entry in the list at the end
    start = content.index(b"PK\x01\x02") + 24
    text = refusal(laid_out, content[:start] + claimed + content[start + 4 :])
    assert "it unpacks to 4.3 GB or more, over 100 times its" in text


def test_what_is_small_in_any_case_may_grow_a_thousandfold(laid_out):
    assert laid_out(gzip.compress(tarred({"zeros.jpg": bytes(10**6)}))) == {"zeros.jpg": bytes(10**6)}


@pytest.mark.parametrize("write", [zipped, tarred])
def test_empty_files_without_end_are_refused(laid_out, monkeypatch, write):
    monkeypatch.setattr(unpacking, "LITTLE_BYTES", 10**5)
    monkeypatch.setattr(unpacking, "MOST_TIMES", 1)
    assert "it unpacks to" in refusal(laid_out, write({f"{n}.jpg": b"" for n in range(100)}))


@pytest.mark.parametrize("write", [zipped, tarred])
def test_a_disk_without_room_is_told_before_it_is_full(laid_out, tmp_path, monkeypatch, write):
    usage = shutil.disk_usage(tmp_path)._replace(free=6000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "and the disk has 6.0 kB" in refusal(laid_out, write(MEMBERS))
    assert not list(tmp_path.rglob("*.bin"))


def patched(content, start, new):
    """The same bytes with a field of the local and of the central entry of a zip replaced."""
    for magic, offset in ((b"PK\x03\x04", start), (b"PK\x01\x02", start + 2)):
        place = content.index(magic) + offset
        content = content[:place] + new + content[place + len(new) :]
    return content


@pytest.mark.parametrize(("field", "value", "word"), [(6, b"\1\0", "encrypted"), (8, b"\x62\0", "compression")])
def test_zips_that_python_cannot_read_are_told(laid_out, field, value, word):
    assert word in refusal(laid_out, patched(zipped({"top/a.jpg": b"a"}), field, value))
