"""Commands of the project: Kedro's own, with a `run` that knows which runners serve."""

from __future__ import annotations

from copy import copy

import click
from kedro.framework.cli.project import run as _run_of_kedro

from scaling_ood.session import refuse_runner


@click.group(name="scaling_ood")
def cli() -> None:
    """Commands of scaling-ood."""


def _served(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name:
        refuse_runner(name.rpartition(".")[2])
    return name


run = copy(_run_of_kedro)
run.params = [copy(each) for each in run.params]
next(each for each in run.params if each.name == "runner").callback = _served
cli.add_command(run)
