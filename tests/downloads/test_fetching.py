"""Fetching from a host on this machine: what is verified, kept and refused."""

import errno
import hashlib
import json
import os
from dataclasses import replace

import pytest
from filelock import FileLock

from scaling_ood.downloads import DownloadError, Expected, fetch_all, fetching
from scaling_ood.downloads.records import RECORDS_NAME

from .conftest import ARCHIVE, fetched, zipped


def refusal(source, folder):
    with pytest.raises(DownloadError) as error:
        fetched(source, folder)
    assert source.name in str(error.value)
    return str(error.value)


def test_a_fetched_set_is_laid_out_recorded_and_leaves_nothing_else(source, tmp_path):
    assert fetched(source, tmp_path) == "fetched"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".fetching.lock", "bits", RECORDS_NAME]
    assert (tmp_path / "bits" / "2.bin").read_bytes() == b"\2" * 100_000
    record = json.loads((tmp_path / RECORDS_NAME).read_text())["bits"]
    assert record["archive"] == f"sha256:{hashlib.sha256(ARCHIVE).hexdigest()}"


def test_a_complete_set_is_not_fetched_again(source, host, tmp_path):
    fetched(source, tmp_path)
    assert fetched(source, tmp_path) == "already complete"
    assert len(host.requests) == 1


def test_a_set_placed_by_hand_is_counted_and_not_fetched(source, host, tmp_path):
    (tmp_path / "bits").mkdir()
    for n in range(3):
        (tmp_path / "bits" / f"{n}.bin").touch()
    assert fetched(source, tmp_path) == "complete, placed by hand"
    assert host.requests == []


def test_an_archive_placed_by_hand_is_used_without_asking_the_host(unreachable, tmp_path):
    (tmp_path / ".archives").mkdir()
    (tmp_path / ".archives" / "far.zip").write_bytes(ARCHIVE)
    assert fetched(unreachable, tmp_path) == "fetched"


@pytest.mark.parametrize("silence_s", [0, 0.6])
def test_a_broken_transfer_leaves_nothing_and_starts_anew(source, host, tmp_path, monkeypatch, silence_s):
    monkeypatch.setattr(fetching, "TIMEOUT_S", (0.2, 0.2))
    host.breaks_after, host.silence_s = 150_000, silence_s
    assert "the transfer failed (" in refusal(source, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert fetched(source, tmp_path) == "fetched"


def test_what_a_killed_transfer_left_is_removed(source, tmp_path):
    (tmp_path / ".archives").mkdir()
    (tmp_path / ".archives" / "tmpab_2cd9x").write_bytes(b"half")
    assert fetched(source, tmp_path) == "fetched"
    assert not (tmp_path / ".archives").exists()


def test_two_processes_fetch_one_after_the_other(source, host, tmp_path):
    said = []
    other = FileLock(tmp_path / ".fetching.lock", thread_local=False)
    other.acquire()

    def say(line):
        said.append(line)
        if "this one waits" in line:
            # The other one ends well while this one waits.
            other.release()
            fetched(source, tmp_path)

    assert fetch_all([source], tmp_path, say) == []
    assert "another process is fetching" in said[1]
    assert "already complete" in said[2]
    assert len(host.requests) == 1


def test_a_full_disk_is_one_sentence_and_leaves_nothing(source, tmp_path, monkeypatch):
    def copy(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", copy)
        message = refusal(source, tmp_path)
    assert message == f"bits: cannot be laid out below {tmp_path}: [Errno 28] No space left on device"
    assert not (tmp_path / "bits").exists()
    assert not (tmp_path / ".bits.unpacking").exists()
    assert fetched(source, tmp_path) == "fetched"


def test_what_a_killed_unpacking_left_is_replaced(source, tmp_path):
    (tmp_path / ".bits.unpacking").mkdir()
    (tmp_path / ".bits.unpacking" / "old.bin").touch()
    assert fetched(source, tmp_path) == "fetched"
    assert not (tmp_path / "bits" / "old.bin").exists()
    assert not (tmp_path / ".bits.unpacking").exists()


def test_a_wrong_checksum_is_refused(source, tmp_path):
    message = refusal(replace(source, checksum=f"md5:{'0' * 32}"), tmp_path)
    assert "does not have its published checksum" in message
    assert "0" * 32 in message
    assert hashlib.md5(ARCHIVE).hexdigest() in message
    assert source.url in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_the_right_checksum_is_accepted(source, tmp_path):
    checksum = f"md5:{hashlib.md5(ARCHIVE).hexdigest()}"
    assert fetched(replace(source, checksum=checksum), tmp_path) == "fetched"


def test_another_archive_than_the_first_time_is_refused_until_the_record_is_deleted(source, host, tmp_path):
    fetched(source, tmp_path)
    (tmp_path / "bits").rename(tmp_path / "moved")
    host.archives["/bits.zip"] = zipped({f"top/{n}.bin": b"other" for n in range(3)})
    message = refusal(source, tmp_path)
    assert f"To accept it, delete 'bits' from {tmp_path / RECORDS_NAME}" in message

    (tmp_path / RECORDS_NAME).unlink()
    assert fetched(source, tmp_path) == "fetched"


def test_a_new_pin_is_not_held_against_the_record_of_the_old_one(source, host, tmp_path):
    fetched(source, tmp_path)
    (tmp_path / "bits").rename(tmp_path / "moved")
    host.archives["/new.zip"] = zipped({f"top/{n}.bin": b"new" for n in range(3)})
    assert fetched(replace(source, url=f"{host.url}/new.zip"), tmp_path) == "fetched"


def test_files_changed_since_the_download_are_named(source, tmp_path):
    fetched(source, tmp_path)
    (tmp_path / "bits" / "1.bin").write_bytes(b"edited")
    assert "have changed since they were fetched" in refusal(source, tmp_path)


def test_too_few_files_in_the_archive_leave_no_folder(source, tmp_path):
    short = replace(source, expected=(Expected("*.bin", 5, "binary files"), Expected("*.txt", 1, "text")))
    message = refusal(short, tmp_path)
    assert "3 binary files (*.bin), expected 5" in message
    assert "0 text (*.txt), expected 1" in message
    assert not (tmp_path / "bits").exists()
    assert not (tmp_path / RECORDS_NAME).exists()


def test_other_names_are_refused_although_the_counts_agree(source, tmp_path):
    for n in "abc":
        (tmp_path / f"{n}.bin").touch()
    known = source.names_digest(tmp_path)
    assert "names do not" in refusal(replace(source, names=known), tmp_path)


def test_an_incomplete_folder_is_refused_and_left_alone(source, tmp_path):
    (tmp_path / "bits").mkdir()
    (tmp_path / "bits" / "0.bin").touch()
    message = refusal(source, tmp_path)
    assert "1 binary files (*.bin), expected 3" in message
    assert "Move" in message
    assert (tmp_path / "bits" / "0.bin").exists()


def test_a_damaged_archive_is_refused_and_fetched_anew(source, host, tmp_path):
    host.archives["/bits.zip"] = ARCHIVE.replace(b"\1" * 1000, b"\3" * 1000, 1)
    assert "the archive is damaged (Bad CRC-32 for file 'top/1.bin')" in refusal(source, tmp_path)
    host.archives["/bits.zip"] = ARCHIVE
    assert fetched(source, tmp_path) == "fetched"


def test_an_answer_that_is_no_zip_is_refused(source, host, tmp_path):
    host.archives["/bits.zip"] = b"<html>Sign in to this network</html>"
    assert "the archive is damaged" in refusal(source, tmp_path)


def test_an_unreachable_host_is_told_with_everything_needed_by_hand(unreachable, tmp_path):
    message = refusal(unreachable, tmp_path)
    assert "far: the transfer failed (Connection refused)" in message
    assert unreachable.url in message
    assert str(tmp_path / ".archives" / "far.zip") in message
    assert "far/*.bin  3 binary files" in message


def test_a_missing_archive_is_told_with_the_answer(source, host, tmp_path):
    host.archives.clear()
    assert "the transfer failed (404 Client Error" in refusal(source, tmp_path)


def test_one_set_that_fails_does_not_keep_the_others(source, unreachable, tmp_path):
    said = []
    problems = fetch_all([unreachable, source], tmp_path / "new", said.append)
    assert [problem.split(":")[0] for problem in problems] == ["far"]
    assert ["Free for all." in line for line in said] == [True, False, True, False]
    assert (tmp_path / "new" / "bits" / "0.bin").exists()


def test_an_archive_by_hand_with_another_checksum_is_named_where_the_host_cannot_be_asked(unreachable, tmp_path):
    (tmp_path / ".archives").mkdir()
    (tmp_path / ".archives" / "far.zip").write_bytes(ARCHIVE)
    message = refusal(replace(unreachable, checksum=f"md5:{'0' * 32}"), tmp_path)
    assert f"far: {tmp_path / '.archives' / 'far.zip'} has another checksum than it should, and" in message


def test_a_damaged_archive_by_hand_stays(unreachable, tmp_path):
    (tmp_path / ".archives").mkdir()
    (tmp_path / ".archives" / "far.zip").write_bytes(ARCHIVE[:5000])
    assert f"Delete {tmp_path / '.archives' / 'far.zip'} and run the command again" in refusal(unreachable, tmp_path)
    assert (tmp_path / ".archives" / "far.zip").exists()


def test_records_that_cannot_be_understood_are_named(source, tmp_path):
    (tmp_path / RECORDS_NAME).write_text("[1]")
    with pytest.raises(ValueError, match="no lock file of this command"):
        fetch_all([source], tmp_path, lambda _: None)
