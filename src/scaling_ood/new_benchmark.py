"""`make benchmark`: look at a person's folder of photographs, and write a benchmark of it that runs as it stands.

Also a benchmark of its own for a folder of outputs: `scaling-ood score DIR --name NAME`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import click
import yaml
from kedro.framework.startup import bootstrap_project

from scaling_ood.configuration import ConfigLoader
from scaling_ood.parameters.common import unfit_names
from scaling_ood.settings import CONFIG_LOADER_ARGS
from scaling_ood.storage import is_stored
from scaling_ood.structure import checked
from scaling_ood.tasks import tasks
from scaling_ood.tasks.drafts import DraftError, Said, flow
from scaling_ood.terminal import print_in_any_locale
from scaling_ood.wording import unknown

_NOT_BENCHMARKS = ("base", "local")


@click.command()
@click.argument("name")
@click.argument("setting")
@click.argument("folder", metavar="FROM")
@click.option(
    "--in-dist", default="", help="The folder in FROM that is in-distribution, where its shape does not tell."
)
@click.option("--anomaly", "anomalies", type=int, multiple=True, help="An id of anomalous pixels, where none is told.")
@click.option("--ood", multiple=True, help="A class that is OOD, where it lies beside those that are not.")
@click.option("--conf-source", default="conf", show_default=True, help="Where environments are; has `base`.")
def main(name: str, setting: str, folder: str, conf_source: str, **said: Any) -> None:
    """Write the benchmark NAME, of one SETTING, of the photographs below the folder FROM."""
    bootstrap_project(Path.cwd())
    place = Path(conf_source) / name
    if is_stored(folder):
        raise click.ClickException(
            "Nothing was written.\n"
            f"- FROM: {folder} is in a store: name a copy of it on this machine. Then:\n"
            f"  kedro run --env {name} --params data_root={folder}"
        )
    write_benchmark(place, setting, Path(folder).expanduser(), Said(**said))
    source = f" --conf-source {conf_source}" if conf_source != "conf" else ""
    click.echo(f"{place / 'parameters.yml'} is written; look it over. Then:")
    click.echo(f"  kedro run --env {name}{source} --pipelines data_preparation   # checks every image")
    click.echo(f"  kedro run --env {name}{source}")


def write_benchmark(place: Path, setting: str, folder: Path, said: Said) -> None:
    """Write a folder of configuration, and check it.

    Args:
        place: `conf/<name>`; beside it there is `base`.
        setting: Name of a setting.
        folder: Of the photographs.
        said: What its shape does not tell.

    Raises:
        click.ClickException: Anything is wrong with what was given, all of it at once, or nothing can be made of the
            folder; nothing is written then.
    """
    known = {task.name: task for task in tasks()}
    problems = _unfit(place.name)
    if not problems and place.exists():
        problems.append(f"NAME: {place} is there already, and stays as it is; take another name")
    if setting not in known:
        problems.append(f"SETTING: {unknown('setting', setting, known)}")
    if not folder.is_dir():
        problems.append(f"FROM: no folder {folder}")
    if problems:
        raise click.ClickException("\n".join(["Nothing was written.", *(f"- {each}" for each in problems)]))
    library = _parameters(place.parent, "base").get("data_sets", {})
    try:
        lines = known[setting].draft(folder, said, library)
    except DraftError as error:
        raise click.ClickException(f"Nothing was written. {error}") from error
    root = os.path.relpath(folder) if folder.resolve().is_relative_to(Path.cwd()) else str(folder.resolve())
    place.mkdir(parents=True)
    try:
        head = [f"# The photographs of {folder.resolve().name}. Run: kedro run --env {place.name}"]
        (place / "parameters.yml").write_text("\n".join([*head, *lines, ""]), encoding="utf-8")
        (place / "globals.yml").write_text(f"data_root: {flow(root)}\n", encoding="utf-8")
        checked(_parameters(place.parent, place.name))
    except BaseException:
        shutil.rmtree(place)
        raise


def name_outputs(conf: Path, name: str, environment: str, folder: Path) -> None:
    """Make a folder of outputs a benchmark of its own: a copy of the environment that reads such folders.

    Args:
        conf: Folder of all environments.
        name: Of the benchmark. If it is there already it must be of this folder, and stays as it is.
        environment: That is copied.
        folder: Of the outputs.

    Raises:
        click.ClickException: The name is none of a benchmark, or is that of another one; nothing is written then.
    """
    place, root = conf / name, {"data_root": str(folder.resolve())}
    problems = _unfit(name)
    if not problems and place.exists():
        file = place / "globals.yml"
        there = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if not isinstance(there, dict) or not root.items() <= there.items():
            problems.append(f"NAME: {place} is there already, and not of {root['data_root']}; take another name")
    if problems:
        raise click.ClickException("\n".join(["Nothing was written.", *(f"- {each}" for each in problems)]))
    if not place.exists():
        text = (conf / environment / "parameters.yml").read_text(encoding="utf-8")
        text = text.replace(f"--env {environment} --params data_root=DIR", f"--env {name}")
        place.mkdir()
        (place / "parameters.yml").write_text(text.replace("score DIR", f"score DIR --name {name}"), encoding="utf-8")
        (place / "globals.yml").write_text(f"data_root: {flow(root['data_root'])}\n", encoding="utf-8")
        click.echo(f"{place} is written; the same again: kedro run --env {name}")


def _unfit(name: str) -> list[str]:
    """Why a name is none of a benchmark."""
    reserved = [f"NAME: {name} is no benchmark's"] if name in _NOT_BENCHMARKS else []
    return [*unfit_names("NAME: benchmark", [name]), *reserved]


def _parameters(source: Path, environment: str) -> dict[str, Any]:
    """All parameters of an environment, merged."""
    arguments: dict[str, Any] = CONFIG_LOADER_ARGS
    parameters: dict[str, Any] = ConfigLoader(str(source), environment, **arguments)["parameters"]
    return parameters


if __name__ == "__main__":
    print_in_any_locale()
    main(prog_name="python -m scaling_ood.new_benchmark")
