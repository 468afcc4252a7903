"""Commands of the project: Kedro's `run` that knows which runners serve, and `score`; by `kedro` or `scaling-ood`."""

from __future__ import annotations

import os
from copy import copy
from pathlib import Path
from typing import Any

import click
from kedro.framework import project
from kedro.framework.cli.project import run as _run_of_kedro
from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project

from scaling_ood.session import refuse_runner


@click.group(name="scaling_ood")
def cli() -> None:
    """Out-of-distribution detection at real-world scale."""
    if project.PACKAGE_NAME is None:
        bootstrap_project(_project())


def _served(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name:
        refuse_runner(name.rpartition(".")[2])
    return name


def _run(**options: Any) -> None:
    """Kedro's `run`; of several processes that torchrun started the first one's, which the others help to train."""
    command = _run_of_kedro.callback
    assert command is not None
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not {"RANK", "MASTER_ADDR"} <= os.environ.keys():
        command(**options)
        return
    from scaling_ood.session import USER_ERRORS
    from scaling_ood.training import ranks

    try:
        share = ranks.join().share
        if share.rank:
            ranks.follow()
    except USER_ERRORS as error:
        if os.environ.get("SCALING_OOD_TRACEBACK"):
            raise
        told = f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']}"
        raise click.ClickException(f"{told}: {error}") from error
    if not share.rank:
        command(**options)
    ranks.part()


run = copy(_run_of_kedro)
run.callback = _run
run.params = [copy(each) for each in run.params]
next(each for each in run.params if each.name == "runner").callback = _served
cli.add_command(run)


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--name", default="", help="Of a benchmark of its own: results of several folders stay beside each other."
)
def score(folder: Path, name: str) -> None:
    """Run all post-hoc detectors on the outputs in FOLDER, and report.

    The same as `kedro run --env own_outputs --params data_root=FOLDER`, or another of the environments `own_outputs…`:
    what lies in the folder tells which. With a name, `conf/NAME` is written, and run: `kedro run --env NAME`.
    """
    # Kedro's other commands need not wait for torch.
    from scaling_ood.new_benchmark import name_outputs
    from scaling_ood.provided import ProvidedError
    from scaling_ood.tasks.own_outputs import environment_of

    try:
        environment = environment_of(folder)
    except ProvidedError as error:
        raise click.ClickException(str(error)) from error
    parameters = {"data_root": str(folder.resolve())}
    if name:
        name_outputs(_project() / project.settings.CONF_SOURCE, name, environment, folder)
        environment, parameters = name, {}
    with project.settings.SESSION_CLASS.create(_project(), env=environment, runtime_params=parameters) as session:
        session.run()


def _project() -> Path:
    """The folder of the project that one is in."""
    found = find_kedro_project(Path.cwd())
    if found is None:
        raise click.ClickException("There is no Kedro project here: run from the project's folder.")
    return Path(found)
