"""The tutorial, command by command, on the tiny benchmark in place of the built-in one."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro_project import as_if_alone

from scaling_ood.new_benchmark import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if not language for line in block.splitlines()]


def test_it_has_no_command_that_the_test_below_leaves_out():
    left_out = [line for line in COMMANDS if not line.startswith(("kedro run", "mkdir ", "cp -r ", "make benchmark"))]
    assert left_out == ["make run", "source .venv/bin/activate", "make ui"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^run: .*\n\t\$\(BIN\)/kedro run$", makefile, flags=re.MULTILINE)
    assert '\n\t$(BIN)/python -m scaling_ood.new_benchmark "$(NAME)" "$(SETTING)" "$(FROM)" \\\n' in makefile


@pytest.mark.slow
def test_it_runs(project):
    (shown,) = (block for language, block in BLOCKS if language == "yaml")
    for command in COMMANDS:
        first, *rest = shlex.split(command.replace("/miniature/", "/test/"))
        if first in ("mkdir", "cp"):
            subprocess.run([first, *rest], cwd=project.path, check=True)
        elif command.startswith("make benchmark"):
            given = dict(word.split("=") for word in rest[1:])
            with as_if_alone(project.path):
                done = CliRunner().invoke(main, [given["NAME"], given["SETTING"], given["FROM"]])
            assert done.exit_code == 0, done.output
            written = (project.path / "conf/my_benchmark/parameters.yml").read_text(encoding="utf-8")
            assert same_but_for_counts(shown) in same_but_for_counts(written)
        elif first == "kedro":
            project.run(*rest[1:], env=None if "--env" in rest else "test")
    found = project.results(env="my_benchmark")
    assert set(found["ood_set"]) >= {"aquatica", "mean"}
    assert project.product("08_reporting/*/report.html", env="my_benchmark").is_file()


def same_but_for_counts(text):
    """How many images there are is another matter in the tiny benchmark."""
    return re.sub(r"[\d,]+(?= (images|classes))", "N", text)
