"""What the graph is made of: read once from the merged configuration of the running environment.

Kedro builds pipelines without knowing the environment, so the hook that sees the configuration first tells this module.
Without a session (`kedro registry`, a notebook) the environment is that of `KEDRO_ENV`, or the built-in benchmark.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import click
from kedro.framework import project as kedro_project
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Node
from kedro.utils import find_kedro_project
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from scaling_ood.parameters.common import RuntimeSpec, unfit_names
from scaling_ood.parameters.data_sets import DataSets
from scaling_ood.parameters.setting import SettingSpec
from scaling_ood.products.keys import Keyed
from scaling_ood.tasks import Task, tasks
from scaling_ood.wording import did_you_mean

# What `--params` sets; Kedro merges it into the parameters, beside being read where YAML names it.
RUN_TIME = {
    "data_root": ("the name of a folder", "./DIR"),
    "checkpoint": ("the name of a file", "./FILE"),
    "device": ("the name of a device", "cpu"),
    "precision": ("float32, tf32 or bf16", "float32"),
    "part": ("one of several, K/N", "3/16"),
}


GLOBAL = ("data_root", "params:benchmark")
"""What all settings share; every other name in the graph is a setting's own."""


class Setting(NamedTuple):
    """One setting of the running environment: its code and its parameters.

    Attributes:
        task: What is special about it.
        spec: Its parameters.
    """

    task: Task
    spec: SettingSpec

    def node(
        self,
        function: Keyed | Callable[..., Any],
        inputs: Mapping[str, str],
        outputs: str | Sequence[str] | Mapping[str, str],
        *,
        owner: str = "",
        **fixed: Any,
    ) -> Node:
        """A node of the setting's graph, named like its function.

        Args:
            function: May take the task as `task`, and where it runs as `runtime`.
            inputs: Argument to a name within the setting, such as `manifest`, `msp.scores` or `params:data`.
            outputs: The same for what it returns.
            owner: The detector or network that it belongs to.
            fixed: Further arguments that the graph fixes.
        """
        bound = function if isinstance(function, Keyed) else Keyed(function, 1, {})
        known = {"task": lambda: self.task, "runtime": runtime}
        wanted = signature(bound.function).parameters
        own = {name: known[name]() for name in known if name in wanted and name not in inputs}
        left: str | list[str] | dict[str, str]
        if isinstance(outputs, str):
            left = self.full(outputs)
        elif isinstance(outputs, Mapping):
            left = {key: self.full(name) for key, name in outputs.items()}
        else:
            left = [self.full(name) for name in outputs]
        return Node(
            bound.bind(**own, **fixed),
            {argument: self.full(name) for argument, name in inputs.items()},
            left,
            name=bound.__name__,
            namespace=".".join(filter(None, (self.task.name, owner))),
            tags=self.task.name,
        )

    def full(self, name: str) -> str:
        """The name in the catalog of what the setting calls so."""
        if name in GLOBAL:
            return name
        kind, _, own = name.rpartition(":")
        return f"{kind}:{self.task.name}.{own}" if kind else f"{self.task.name}.{own}"


def runtime() -> RuntimeSpec:
    """Where and how fast; without a session, the defaults."""
    return RuntimeSpec.model_validate(_bound.get("parameters", {}).get("runtime", {}))


_bound: dict[str, Any] = {}
"""`parameters` of the running session, and the `settings` that were made of them."""


def bind(parameters: Mapping[str, Any]) -> None:
    """Take over the merged parameters of the running session; a graph of another session's is made anew."""
    _bound.clear()
    _bound["parameters"] = parameters
    if kedro_project.PACKAGE_NAME is not None:
        pipelines.configure(f"{kedro_project.PACKAGE_NAME}.pipeline_registry")


def setting_specs() -> dict[str, Setting]:
    """Every setting of the running environment, checked.

    Raises:
        click.ClickException: Something is wrong with the parameters; all problems at once.
    """
    if "parameters" not in _bound:
        return checked(_without_session())
    if "settings" not in _bound:
        _bound["settings"] = checked(_bound["parameters"])
    found: dict[str, Setting] = _bound["settings"]
    return found


def typed_parameters() -> dict[str, Any]:
    """What nodes are given under `params:`, by the same names as in the YAML, but checked and typed.

    Raises:
        click.ClickException: There is no setting that could run; MLflow's page can be opened all the same.
    """
    if not setting_specs():
        raise click.ClickException(no_setting())
    typed: dict[str, Any] = {"runtime": runtime()}
    for name, (_, spec) in setting_specs().items():
        own: dict[str, Any] = {"data": spec.data, "extraction": spec.extraction, "reporting": spec.reporting}
        own |= {"fabrication": spec.fabrication} if spec.fabrication else {}
        own |= {f"networks.{network}": each for network, each in spec.networks.items()}
        own |= {f"detectors.{detector}": each for detector, each in spec.methods.items()}
        typed |= {f"{name}.{key}": value for key, value in own.items()}
    return typed


def no_setting() -> str:
    """What is told where no setting is on."""
    return f"No setting has `data` (there are: {', '.join(task.name for task in tasks())}); nothing was run."


def checked(parameters: Mapping[str, Any]) -> dict[str, Setting]:
    """Settings by name, from merged parameters.

    `detector: {}` switches a detector on, `false` off; a bare key is an error. A setting without `data`, or `setting:
    false`, is no part of the benchmark.

    Raises:
        click.ClickException: Unknown keys, values out of range; all problems at once, with the nearest allowed word.
    """
    known = {task.name: task for task in tasks()}
    problems = [
        f"{name}: must be {what} (given: {parameters[name] or 'nothing'}): --params {name}={example}"
        for name, (what, example) in RUN_TIME.items()
        if name in parameters and not (isinstance(parameters[name], str) and parameters[name].strip())
    ]
    names = (*known, "runtime", "data_sets", "benchmark", *RUN_TIME)
    problems += [f"{name}: no such parameter{did_you_mean(name, names)}" for name in parameters if name not in names]
    problems += unfit_names("benchmark", [str(parameters.get("benchmark", "miniature"))])
    for name, model in (("runtime", RuntimeSpec), ("data_sets", DataSets)):
        try:
            model.model_validate(parameters.get(name, {}))
        except ValidationError as error:
            problems += _readable(name, parameters.get(name, {}), error)
    library = parameters.get("data_sets", {})
    context = {"data_sets": library if isinstance(library, Mapping) else {}}
    found: dict[str, Setting] = {}
    # Files are merged in the order in which the disk lists them; messages and graphs must not depend on it.
    for name, task in known.items():
        raw = parameters.get(name, False)
        if raw is False:
            continue
        if isinstance(raw, Mapping) and "data" not in raw:
            known_here = task.spec.model_fields
            unknown = [key for key in raw if key not in known_here]
            problems += [f"{name}.{key}: no such parameter{did_you_mean(key, known_here)}" for key in unknown]
            continue
        try:
            found[name] = Setting(task, task.spec.model_validate(raw, context=context))
        except ValidationError as error:
            problems += _readable(name, raw, error, task.spec.shared)
    if problems:
        listed = "\n".join(f"- {problem}" for problem in dict.fromkeys(problems))
        raise click.ClickException(f"The parameters are not valid; nothing was run.\n{listed}")
    return found


_WORDS = {
    "missing": "is missing",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
}
"""Pydantic's type of an error to what a person is told."""


def _readable(name: str, raw: Any, error: ValidationError, shared: str = "") -> Iterator[str]:
    """One line per problem: where in the YAML, what is wrong, what was given."""
    found = error.errors(include_url=False)
    for problem in found:
        # Without the branches of a union that Pydantic tried.
        location = tuple(step for step in problem["loc"] if ": " not in str(step))
        # Pydantic tries `false` too; the other branch says all that is wrong.
        if any(str(step).startswith("literal[") for step in location):
            continue
        # Told where it stands: in the library, or at the shared network.
        if location[:2] == ("data", "sets") or _is_inherited(problem, raw, shared, found):
            continue
        given, kind = problem["input"], problem["type"]
        plain = not isinstance(given, Mapping | list | tuple) and kind != "missing"
        shown = f" (given: {given!r})" if plain else ""
        if given is None:
            shown = " (a bare key was given)"
        place = ".".join([name, *_steps(raw, location, kind == "missing")])
        told = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        told = re.sub(r"^\w+ should (.*) after validation", r"must \1", told)
        for line in _WORDS.get(kind, told).splitlines():
            inner = isinstance(given, Mapping) and re.match(r"([\w-]+)(\.[^ ]*)?: ", line)
            joint = "." if inner and inner[1] in given else ": "
            yield f"{place}{joint}{line}{shown if not line.endswith(')') else ''}"


def _is_inherited(problem: ErrorDetails, raw: Any, shared: str, found: Sequence[ErrorDetails]) -> bool:
    """Whether a network's problem is one of the shared network's, from which it takes what it does not state."""
    section, name, *inner = (*problem["loc"], "", "")
    its = [each["msg"] for each in found if each["loc"][:2] == ("networks", shared)]
    if section != "networks" or name == shared or not its:
        return False
    own = raw["networks"].get(name)
    stated = not isinstance(own, Mapping) or any(step in own for step in inner)
    at_field = any(str(step).isidentifier() for step in inner)
    return not stated and (at_field or problem["msg"] in its)


def _steps(raw: Any, location: tuple[int | str, ...], missing: bool) -> list[str]:
    """The steps of a Pydantic location that are in the YAML; it also names the branch of a union that it tried."""
    steps = []
    for number, step in enumerate(location):
        inside = isinstance(raw, Mapping) and step in raw
        listed = isinstance(raw, list | tuple) and isinstance(step, int) and step < len(raw)
        if inside or listed:
            raw = raw[step]
        if inside or listed or (missing and number == len(location) - 1):
            steps.append(repr(step).strip("'"))
    return steps


def _without_session() -> Mapping[str, Any]:
    project = find_kedro_project(Path.cwd())
    if project is None:
        raise click.ClickException("There is no Kedro project here: run from the project's folder.")
    if kedro_project.PACKAGE_NAME is None:  # a plain Python prompt: how files are merged is not known yet
        bootstrap_project(project)
    loader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(project / settings.CONF_SOURCE),
        env=os.environ.get("KEDRO_ENV"),
        **settings.CONFIG_LOADER_ARGS,
    )
    parameters: Mapping[str, Any] = loader["parameters"]
    return parameters
