"""What a person reads when a run fails: the message alone, with commands that work."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from kedro.io import DatasetError, DatasetNotFoundError
from kedro.runner import ParallelRunner
from mlflow_store import empty_store

from scaling_ood.cli import run
from scaling_ood.datasets import ShardsDataset
from scaling_ood.images.recorded import ChangedFileError
from scaling_ood.products.kept_files import DamagedPartError
from scaling_ood.products.plans import Part, Plan
from scaling_ood.session import Session, _for_one_process, completed, message_of

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "src/scaling_ood"


@pytest.mark.parametrize("error", [OSError("no folder"), DamagedPartError("damaged"), ArithmeticError("it diverged")])
def test_what_a_person_can_put_right_becomes_its_message_alone_however_often_kedro_wraps_it(error: Exception) -> None:
    for _ in range(3):
        assert message_of(error, {}) in ("no folder", "damaged", "it diverged")
        wrapped = DatasetError("Failed while saving")
        wrapped.__cause__ = error
        error = wrapped


@pytest.mark.parametrize(
    "error", [KeyError("x"), AttributeError("x"), AssertionError("x"), TypeError("x"), DatasetNotFoundError("x")]
)
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    wrapped = DatasetError("Failed while saving")
    wrapped.__cause__ = error
    assert [message_of(each, {}) for each in (error, wrapped)] == ["", ""]


def test_credentials_that_are_nowhere_are_told_in_words() -> None:
    error = KeyError(
        "Unable to find credentials 'object_store': check your data catalog. See https://x for an example."
    )
    assert message_of(error, {}) == (
        "credentials: no credentials.yml of this environment or of conf/base has an entry 'object_store'"
    )


def unreadable(_: Sequence[Part]) -> Iterator[tuple[str, Any]]:
    raise ChangedFileError("x.png has changed; prepare it anew: kedro run --pipelines data_preparation")
    yield


def test_an_error_while_a_plan_is_carried_out_becomes_its_message_alone(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as failed:
        ShardsDataset(filepath=str(tmp_path)).save(Plan([Part("a", 1)], unreadable))
    told = completed(message_of(failed.value, {}), "voc", {})
    assert told == "x.png has changed; prepare it anew: kedro run --pipelines data_preparation --env voc"


@pytest.mark.parametrize(
    "text",
    [
        "DataLoader worker (pid 7) is killed by signal: Bus error.",
        "unable to write to file </torch_29919_1380857426_0>: No space left on device (28)",
        "unable to allocate shared memory(shm) for file </torch_30603_1696564530_1>:",
        "Caught RuntimeError in worker process 0.\nunable to open shared memory object </torch_7> in read-write",
    ],
)
def test_a_small_shared_memory_is_told_with_the_remedy(text: str) -> None:
    assert re.search(r"/dev/shm has .*--params runtime\.workers=0", message_of(RuntimeError(text), {}))


def parsed(command: str) -> dict[str, Any]:
    """What Kedro makes of a command's options."""
    return run.make_context("run", shlex.split(command)[2:]).params


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"data_root": "my photos/a=b", "device": "cpu"},
        {
            "multi_class": {
                "networks": {"classifier": {"epochs": 3, "learning_rate": 1e-5}},
                "detectors": {"knn": False},
            }
        },
        {"runtime": {"batch_images": None}, "multi_class": {"detectors": {"knn": {}}}},
    ],
)
def test_the_options_of_the_present_command_come_back_as_they_were(params: dict[str, Any]) -> None:
    told = completed("- a: kedro run --to-outputs multi_class.classifier.model\n- b", "my env", params)
    command = told.removeprefix("- a: ").removesuffix("\n- b")
    taken = parsed(command)
    assert taken["params"] == params
    assert (taken["env"], [*taken["to_outputs"]]) == ("my env", ["multi_class.classifier.model"])


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"part": "1/2", "device": "cpu"}, " --params device=cpu"),
        ({"runtime": {"part": "1/2", "engine": "split"}}, ""),
        ({"runtime": {"engine": "ray", "address": "h:6379"}}, " --params runtime.engine=ray,runtime.address=h:6379"),
    ],
)
def test_the_next_command_is_for_one_process_and_keeps_its_engine(given: dict[str, Any], left: str) -> None:
    assert completed("kedro run", None, _for_one_process(given)) == f"kedro run{left}"


def test_commands_that_say_their_environment_stay_as_they_are() -> None:
    assert completed("kedro run --env voc --pipelines comparison", "coco", {}) == (
        "kedro run --env voc --pipelines comparison"
    )


def test_every_stage_that_a_message_names_is_there() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))]
    named = {name for text in texts for name in re.findall(r"kedro run --pipelines (\w+)", text)}
    assert {"data_preparation", "upload"} <= named
    assert all((SOURCE / "pipelines" / name / "pipeline.py").is_file() for name in named)


@pytest.mark.parametrize("name", ["ParallelRunner", "kedro.runner.ParallelRunner", "ThreadRuner"])
def test_a_runner_that_does_not_serve_is_refused_by_the_command(name: str) -> None:
    told = CliRunner().invoke(run, ["--runner", name])
    assert told.exit_code == 1
    assert f"--runner {name.rsplit('.', maxsplit=1)[-1]} " in told.output
    assert "(known: SequentialRunner, ThreadRunner)" in told.output


def test_a_runner_that_does_not_serve_is_refused_in_python_too() -> None:
    with pytest.raises(click.ClickException, match="ParallelRunner does not serve: it calls no hooks"):
        Session.run(Session.__new__(Session), runner=ParallelRunner())


def test_commands_print_no_warning_of_libraries_about_themselves() -> None:
    command = [sys.executable, "-m", "kedro", "registry", "list"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


WRONG = {
    "environment": ({"env": "smaples"}, {}, "--env smaples: no such folder in .* did you mean 'samples'\\?"),
    "pipeline": ({}, {"pipeline_names": ["model_trainig"]}, "--pipelines model_trainig: .* mean 'model_training'\\?"),
    "namespace": ({}, {"namespaces": ["multi_class.mps"]}, "--namespaces multi_class.mps: .* 'multi_class.msp'\\?"),
    "setting": ({}, {"namespaces": ["multiclass"]}, "--namespaces multiclass: .* did you mean 'multi_class'\\?"),
    "node": ({}, {"node_names": ["multi_class.prepare_manifes"]}, "--nodes .* mean 'multi_class.prepare_manifest'\\?"),
    "output": ({}, {"to_outputs": ["multi_class.manifst"]}, "--to-outputs .* did you mean 'multi_class.manifest'\\?"),
    "tag": ({}, {"tags": ["segmentaton"]}, "--tags segmentaton: .* did you mean 'segmentation'\\?"),
    "no detector": ({"params": {"multi_class": {"detectors": {"mps": {}}}}}, {}, "did you mean 'msp'\\?"),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process, as long as it takes to start, says of all that is wrong."""
    folder = tmp_path_factory.mktemp("store")
    code = f"""
import json, sys
import click
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project

bootstrap_project({str(PROJECT)!r})
for name, (created, options, _) in {WRONG!r}.items():
    given = dict(env=created.get("env"), runtime_params=created.get("params"))
    try:
        with settings.SESSION_CLASS.create({str(PROJECT)!r}, **given) as session:
            session.run(**options)
    except click.ClickException as error:
        print(json.dumps([name, error.message]))
"""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": empty_store(folder), "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


@pytest.mark.slow
@pytest.mark.parametrize("what", WRONG)
def test_what_is_nowhere_is_told_with_the_nearest_name(what: str, refusals: dict[str, str]) -> None:
    assert re.search(WRONG[what][2], refusals[what])
