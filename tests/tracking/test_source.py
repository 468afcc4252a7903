import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from scaling_ood.tracking.source import source_tags


def test_without_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert source_tags(tmp_path) == {"scaling_ood_version": version("scaling-ood")}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_says_whether_files_were_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert source_tags(tmp_path)["git_commit"] == commit
    (tmp_path / "file").write_text("b")
    assert source_tags(tmp_path)["git_commit"] == f"{commit}-dirty"
