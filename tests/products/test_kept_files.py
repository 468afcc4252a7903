"""What a record vouches for: the content of a file, and of all files of a folder, at any depth."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from scaling_ood.products.kept_files import content_sum, is_intact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Names whose order as text is another one than step by step; links; more than one piece of content."""
    files = {"a/b.txt": b"1", "a.txt": b"2", "a/c/d": b"", "large": bytes(range(256)) * 10_000, ".hidden": b"3"}
    place = tmp_path / "folder"
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    (place / "empty").mkdir()
    (place / "linked").symlink_to(place / "a.txt")
    (place / "dangling").symlink_to(place / "nowhere")
    (place / "folder again").symlink_to(place / "a")
    return place


def test_the_sum_of_a_folder_is_over_names_and_contents_step_by_step(folder: Path) -> None:
    files = ["linked", "large", "a.txt", ".hidden", "a/b.txt", "a/c/d"]
    named = [
        (name, hashlib.sha256((folder / name).read_bytes()).hexdigest())
        for name in sorted(files, key=lambda name: name.split("/"))
    ]
    assert content_sum(folder) == hashlib.sha256(json.dumps(named).encode()).hexdigest()
    assert content_sum(folder / "large") == dict(named)["large"]


@pytest.mark.parametrize("change", ["other content", "later", "replaced", "added", "removed", "renamed"])
def test_whatever_happens_to_a_file_deep_in_a_folder_is_noticed(folder: Path, change: str) -> None:
    before, file = content_sum(folder), folder / "a/b.txt"
    seen = file.stat().st_mtime_ns
    if change == "other content":
        file.write_bytes(b"other")
    elif change == "later":
        file.write_bytes(b"9")
        os.utime(file, ns=(seen, seen + 1))
    elif change == "replaced":
        (folder.parent / "new").write_bytes(b"9")
        os.utime(folder.parent / "new", ns=(seen, seen + 1))
        (folder.parent / "new").rename(file)
    elif change == "added":
        (folder / "a/c/new").touch()
    elif change == "removed":
        file.unlink()
    else:
        file.rename(folder / "a/c/b.txt")
    assert not is_intact(folder, before)
