"""The tutorial, command by command, on the tiny benchmark in place of the built-in one."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if not language for line in block.splitlines()]


def test_it_has_no_command_that_the_test_below_leaves_out():
    left_out = [line for line in COMMANDS if not line.startswith(("kedro run", "mkdir ", "cp -r "))]
    assert left_out[:2] == ["make run", "source .venv/bin/activate"]
    assert left_out[2] == "make ui"
    assert all(line.startswith("data/01_raw/my_photos/") for line in left_out[3:])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^run: .*\n\t\$\(BIN\)/kedro run$", makefile, flags=re.MULTILINE)


@pytest.mark.slow
def test_it_runs(project):
    files = re.findall(r"`(conf/my_benchmark/\w+\.yml)`", PAGE)
    texts = [block for language, block in BLOCKS if language == "yaml"]
    for name, text in zip(files, texts, strict=True):
        path = project.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for command in COMMANDS:
        first, *rest = shlex.split(command.replace("/miniature/", "/test/"))
        if first in ("mkdir", "cp"):
            subprocess.run([first, *rest], cwd=project.path, check=True)
        elif first == "kedro":
            project.run(*rest[1:], env=None if "--env" in rest else "test")
    shown = project.results(env="my_benchmark")
    assert set(shown["ood_set"]) >= {"unknown", "gaussian", "mean"}
    assert project.product("08_reporting/*/report.html", env="my_benchmark").is_file()
