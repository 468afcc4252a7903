"""Fetching from a host on this machine: what is verified, kept, taken up again and refused."""

import hashlib
import json
from dataclasses import replace

import pytest
import requests

from scaling_ood.downloads import DownloadError, Expected, fetch, fetch_all
from scaling_ood.downloads.lock import LOCK_NAME, Lock
from scaling_ood.downloads.verification import names_digest

from .conftest import ARCHIVE, zipped


def run(source, folder):
    return fetch(source, folder, Lock(folder), progressbar=False)


def refusal(source, folder):
    with pytest.raises(DownloadError) as error:
        run(source, folder)
    assert source.name in str(error.value)
    return str(error.value)


def test_a_fetched_set_is_laid_out_recorded_and_leaves_nothing_else(source, tmp_path):
    assert run(source, tmp_path) == "fetched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bits", LOCK_NAME]
    assert (tmp_path / "bits" / "2.bin").read_bytes() == b"\2" * 100_000
    record = json.loads((tmp_path / LOCK_NAME).read_text())["bits"]
    assert record["archive"] == f"sha256:{hashlib.sha256(ARCHIVE).hexdigest()}"


def test_a_complete_set_is_not_fetched_again(source, host, tmp_path):
    run(source, tmp_path)
    assert run(source, tmp_path) == "already complete"
    assert len(host.requests) == 1


def test_a_set_placed_by_hand_is_counted_and_not_fetched(source, host, tmp_path):
    (tmp_path / "bits").mkdir()
    for n in range(3):
        (tmp_path / "bits" / f"{n}.bin").touch()
    assert run(source, tmp_path) == "complete, placed by hand"
    assert host.requests == []


def test_an_archive_placed_by_hand_is_used_without_asking_the_host(unreachable, tmp_path):
    (tmp_path / ".archives").mkdir()
    (tmp_path / ".archives" / "far.zip").write_bytes(ARCHIVE)
    assert run(unreachable, tmp_path) == "fetched"


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_transfer_goes_on_where_it_stopped(source, host, tmp_path, knows_ranges):
    host.knows_ranges = knows_ranges
    host.breaks_after = 150_000
    assert "broke off" in refusal(source, tmp_path)
    part = tmp_path / ".archives" / "bits.zip.part"
    kept = part.stat().st_size
    assert 100_000 < kept <= 150_000
    assert not (tmp_path / "bits").exists()

    assert run(source, tmp_path) == "fetched"
    assert [wanted for _, wanted in host.requests] == [None, f"bytes={kept}-"]
    assert not part.exists()


def test_a_host_that_falls_silent_is_a_broken_transfer(source, host, tmp_path, monkeypatch):
    monkeypatch.setattr("scaling_ood.downloads.transfer.TIMEOUT_S", 0.2)
    host.breaks_after, host.silence_s = 150_000, 0.6
    assert "broke off" in refusal(source, tmp_path)
    assert run(source, tmp_path) == "fetched"


def test_a_transfer_killed_after_its_last_byte_is_completed(source, host, tmp_path):
    (tmp_path / ".archives").mkdir()
    (tmp_path / ".archives" / "bits.zip.part").write_bytes(ARCHIVE)
    assert run(source, tmp_path) == "fetched"


def test_what_a_killed_unpacking_left_is_replaced(source, tmp_path):
    (tmp_path / ".bits.unpacking").mkdir()
    (tmp_path / ".bits.unpacking" / "old.bin").touch()
    assert run(source, tmp_path) == "fetched"
    assert not (tmp_path / "bits" / "old.bin").exists()
    assert not (tmp_path / ".bits.unpacking").exists()


def test_a_wrong_checksum_is_refused(source, tmp_path):
    message = refusal(replace(source, checksum=f"md5:{'0' * 32}"), tmp_path)
    assert "does not have its published checksum" in message
    assert "0" * 32 in message
    assert hashlib.md5(ARCHIVE).hexdigest() in message
    assert source.url in message
    assert list(tmp_path.rglob("*.*")) == [tmp_path / ".archives"]


def test_the_right_checksum_is_accepted(source, tmp_path):
    checksum = f"md5:{hashlib.md5(ARCHIVE).hexdigest()}"
    assert run(replace(source, checksum=checksum), tmp_path) == "fetched"


def test_another_archive_than_the_first_time_is_refused_until_the_record_is_deleted(source, host, tmp_path):
    run(source, tmp_path)
    (tmp_path / "bits").rename(tmp_path / "moved")
    host.archives["/bits.zip"] = zipped({f"top/{n}.bin": b"other" for n in range(3)})
    message = refusal(source, tmp_path)
    assert "delete 'bits' from that file" in message
    assert str(tmp_path / LOCK_NAME) in message

    (tmp_path / LOCK_NAME).unlink()
    assert run(source, tmp_path) == "fetched"


def test_a_new_pin_is_not_held_against_the_record_of_the_old_one(source, host, tmp_path):
    run(source, tmp_path)
    (tmp_path / "bits").rename(tmp_path / "moved")
    host.archives["/new.zip"] = zipped({f"top/{n}.bin": b"new" for n in range(3)})
    assert run(replace(source, url=f"{host.url}/new.zip"), tmp_path) == "fetched"


def test_files_changed_since_the_download_are_named(source, tmp_path):
    run(source, tmp_path)
    (tmp_path / "bits" / "1.bin").write_bytes(b"edited")
    assert "have changed since they were fetched" in refusal(source, tmp_path)


def test_too_few_files_in_the_archive_leave_no_folder(source, tmp_path):
    short = replace(source, expected=(Expected("*.bin", 5, "binary files"), Expected("*.txt", 1, "text")))
    message = refusal(short, tmp_path)
    assert "3 binary files (*.bin), expected 5" in message
    assert "0 text (*.txt), expected 1" in message
    assert not (tmp_path / "bits").exists()
    assert not (tmp_path / LOCK_NAME).exists()


def test_other_names_are_refused_although_the_counts_agree(source, tmp_path):
    for n in "abc":
        (tmp_path / f"{n}.bin").touch()
    known = names_digest(tmp_path, source.expected)
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
    assert "top/1.bin fails its CRC" in refusal(source, tmp_path)
    host.archives["/bits.zip"] = ARCHIVE
    assert run(source, tmp_path) == "fetched"


def test_an_answer_that_is_no_zip_is_refused(source, host, tmp_path):
    host.archives["/bits.zip"] = b"<html>Sign in to this network</html>"
    assert "the archive is damaged" in refusal(source, tmp_path)


def test_an_unreachable_host_is_told_with_everything_needed_by_hand(unreachable, tmp_path):
    message = refusal(unreachable, tmp_path)
    assert "127.0.0.1:9 cannot be reached (Connection refused)" in message
    assert unreachable.url in message
    assert str(tmp_path / ".archives" / "far.zip") in message
    assert "far/*.bin  3 binary files" in message


def test_a_missing_archive_is_told_with_the_answer(source, host, tmp_path):
    host.archives.clear()
    assert "answered with status 404" in refusal(source, tmp_path)


def test_one_set_that_fails_does_not_keep_the_others(source, unreachable, tmp_path):
    said = []
    outcomes = fetch_all([unreachable, source], tmp_path / "new", said.append, progressbar=False)
    assert [outcome.state for outcome in outcomes] == ["failed", "fetched"]
    assert all("Free for all." in line for line in said)


def test_a_silent_host_is_not_asked_twice(unreachable, tmp_path, monkeypatch):
    asked = []

    def transfer(url, *_args, **_kwargs):
        asked.append(url)
        raise requests.ConnectTimeout

    monkeypatch.setattr("scaling_ood.downloads.archives.transfer", transfer)
    outcomes = fetch_all([unreachable, replace(unreachable, name="farther")], tmp_path, lambda _: None)
    assert len(asked) == 1
    assert "farther: 127.0.0.1:9 cannot be reached." in outcomes[1].problem


def test_a_lock_file_that_cannot_be_understood_is_named(source, tmp_path):
    (tmp_path / LOCK_NAME).write_text("[1]")
    with pytest.raises(DownloadError, match="no lock file of this command"):
        fetch_all([source], tmp_path, lambda _: None)
