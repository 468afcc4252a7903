"""What the page about clusters shows, started as a scheduler would, with a stand-in for the commands that it names."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from kedro.framework.cli.utils import _split_params

from scaling_ood.engines import ENGINES
from scaling_ood.parameters.common import RuntimeSpec

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
SCRIPT, SUBMISSION, *RAY = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
(JOB,) = (yaml.safe_load(each) for each in re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
TURNS = [f"{number}/16" for number in range(1, 17)]


@pytest.fixture
def told(tmp_path: Path):
    """Run a script in a project's folder, where each command only writes down its arguments; what was written."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text("")
    for name in ("kedro", "sbatch", "ray"):
        command = tmp_path / name
        command.write_text(f'#!/bin/bash\necho {name} "$@" >> {tmp_path}/told\necho 7\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)

    def run(script: str, **given: str) -> list[str]:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(tmp_path), **given}
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, check=True)
        lines = (tmp_path / "told").read_text().splitlines()
        (tmp_path / "told").unlink()
        return lines

    return run


def part_of(command: str) -> str:
    params = _split_params(None, None, re.search(r"--params (\S+)", command)[1])
    return RuntimeSpec(part=params["part"]).part


def test_the_array_makes_each_part_once(told) -> None:
    first, last = map(int, re.search(r"#SBATCH --array=(\d+)-(\d+)", SCRIPT).groups())
    commands = [told(SCRIPT, SLURM_ARRAY_TASK_ID=str(number)) for number in range(first, last + 1)]
    assert [part_of(command) for (command,) in commands] == TURNS


@pytest.mark.parametrize("stage", ["data_preparation", "model_training", "metric_reporting"])
def test_the_same_script_makes_the_parts_of_another_stage(told, stage: str) -> None:
    assert f"`sbatch parts.sh {stage}`" in PAGE
    (command,) = told(f"set -- {stage}\n{SCRIPT}", SLURM_ARRAY_TASK_ID="3")
    assert command == f"kedro run --env samples --pipelines {stage} --params part=3/16"


def test_the_jobs_around_the_array_wait_for_each_other(told) -> None:
    before, parts, after = told(SUBMISSION)
    assert "--dependency=afterok:7 parts.sh" in parts
    assert "--dependency=afterany:7" in after
    assert "part=" not in before + after


def test_the_indexed_job_makes_each_part_once(told) -> None:
    (container,) = JOB["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "-c"]
    indices = range(JOB["spec"]["completions"])
    commands = [told(container["args"][0], JOB_COMPLETION_INDEX=str(index)) for index in indices]
    assert [part_of(command) for (command,) in commands] == TURNS
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in JOB["spec"]["template"]["spec"]["volumes"]}


def test_the_commands_of_ray_have_the_options_that_are_shown(told) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts", reason="Ray is not installed: pip install -e '.[ray]'")
    shown = [line.split()[1:] for script in RAY for line in told(script)]
    assert {name for name, *_ in shown} == {"get-auth-token", "start"}
    for name, *options in shown:
        scripts.cli.commands[name].make_context(name, options)


def test_every_engine_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)) == set(ENGINES)
