"""Which code ran."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path


def source_tags(project: Path) -> dict[str, str]:
    """Version of this package and, in a git repository, the commit; `-dirty` if tracked files differ from it."""
    tags = {"scaling_ood_version": version("scaling-ood")}
    commit = _commit(project)
    return {**tags, "git_commit": commit} if commit else tags


def _commit(project: Path) -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
