"""The command `scaling-ood`."""

from __future__ import annotations

from pathlib import Path

import click
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project

from scaling_ood.provided import ProvidedError, kind_of

ENVIRONMENTS = {
    "multi_class": "own_outputs",
    "multi_label": "own_outputs_multi_label",
    "segmentation": "own_outputs_segmentation",
}


@click.group()
def main() -> None:
    """Out-of-distribution detection on what you have."""


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def score(folder: Path) -> None:
    """Run all post-hoc detectors on the outputs in FOLDER, and report.

    The same as `kedro run --env own_outputs --params data_root=FOLDER`, or another of the environments `own_outputs…`:
    what lies in the folder tells which.
    """
    project = find_kedro_project(Path.cwd())
    if project is None:
        raise click.ClickException("There is no Kedro project here: run from the project's folder.")
    try:
        setting = kind_of(folder)
    except ProvidedError as error:
        raise click.ClickException(str(error)) from error
    bootstrap_project(project)
    parameters = {"data_root": str(folder.resolve())}
    with KedroSession.create(project, env=ENVIRONMENTS[setting], runtime_params=parameters) as session:
        session.run()
