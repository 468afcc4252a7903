"""What the graph is made of: read once from the merged configuration of the running environment.

Kedro builds pipelines without knowing the environment, so the hook that sees the configuration first tells this module.
Without a session (`kedro registry`, a notebook) the environment is that of `KEDRO_ENV`, or base alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from kedro.framework import project as kedro_project
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project
from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails

from scaling_ood.networks import SCENES, image_networks, network_of
from scaling_ood.parameters.common import RuntimeSpec, did_you_mean
from scaling_ood.parameters.multi_class import SettingSpec
from scaling_ood.parameters.multi_label import MultiLabelSpec
from scaling_ood.parameters.segmentation import SegmentationSpec

# What `--params` sets; Kedro merges it into the parameters, beside being read where YAML names it.
RUN_TIME = {
    "data_root": ("the name of a folder", "./DIR"),
    "checkpoint": ("the name of a file", "./FILE"),
    "device": ("the name of a device", "cpu"),
    "precision": ("float32 or bf16", "float32"),
}

AnySpec = SettingSpec | MultiLabelSpec | SegmentationSpec
SPECS: dict[str, type[AnySpec]] = {
    "multi_class": SettingSpec,
    "multi_label": MultiLabelSpec,
    "segmentation": SegmentationSpec,
}

SETTINGS = tuple(SPECS)

_bound: dict[str, Mapping[str, Any]] = {}


def bind(parameters: Mapping[str, Any]) -> None:
    """Take over the merged parameters of the running session."""
    _bound["parameters"] = parameters


def setting_specs() -> dict[str, AnySpec]:
    """Every setting of the running environment, checked.

    Raises:
        click.ClickException: Something is wrong with the parameters; all problems at once.
    """
    return checked(_bound["parameters"] if "parameters" in _bound else _without_session())


def image_settings() -> dict[str, SettingSpec]:
    """The settings whose detectors score whole images."""
    return {name: spec for name, spec in setting_specs().items() if isinstance(spec, SettingSpec)}


def label_settings() -> dict[str, MultiLabelSpec]:
    """The settings whose images may be of several classes."""
    return {name: spec for name, spec in setting_specs().items() if isinstance(spec, MultiLabelSpec)}


def scene_settings() -> dict[str, SegmentationSpec]:
    """The settings whose detectors score pixels."""
    return {name: spec for name, spec in setting_specs().items() if isinstance(spec, SegmentationSpec)}


def detectors_of(spec: AnySpec) -> list[str]:
    """Detectors that are switched on, in the order of the configuration."""
    return [name for name, options in spec.detectors.items() if options is not False]


def own_networks(spec: SettingSpec | SegmentationSpec) -> dict[str, str]:
    """Detectors that are on and read another network than the shared one, and that network; see `networks`."""
    trained = image_networks(spec.model.training) if isinstance(spec, SettingSpec) else SCENES
    kinds = {name: network_of(name, trained) for name in detectors_of(spec)}
    return {name: kind for name, kind in kinds.items() if kind}


def checked(parameters: Mapping[str, Any]) -> dict[str, AnySpec]:
    """Settings by name, from merged parameters.

    `detector: {}` switches a detector on, `false` off; a bare key is an error. `setting: false` drops a setting.

    Raises:
        click.ClickException: Unknown keys, values out of range; all problems at once, with the nearest allowed word.
    """
    specs: dict[str, AnySpec] = {}
    problems: list[str] = []
    try:
        RuntimeSpec.model_validate(parameters.get("runtime", {}))
    except ValidationError as error:
        problems += _readable("runtime", RuntimeSpec, error)
    problems += [
        f"{name}: must be {what} (given: {parameters[name] or 'nothing'}): --params {name}={example}"
        for name, (what, example) in RUN_TIME.items()
        if name in parameters and not (isinstance(parameters[name], str) and parameters[name].strip())
    ]
    for name, raw in parameters.items():
        if name in SETTINGS and raw is not False:
            try:
                specs[name] = SPECS[name].model_validate(raw)
            except ValidationError as error:
                problems += _readable(name, SPECS[name], error)
                continue
            if specs[name].identity.setting != name:
                problems.append(f"{name}.identity.setting: must be '{name}' (given: '{specs[name].identity.setting}')")
        elif name not in (known := (*SETTINGS, "runtime", *RUN_TIME)):
            problems.append(f"{name}: no such parameter{did_you_mean(name, known)}")
    if not specs and not problems:
        problems.append(f"no setting is switched on (there are: {', '.join(SETTINGS)})")
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise click.ClickException(f"The parameters are not valid; nothing was run.\n{listed}")
    # Files are merged in the order in which the disk lists them; messages and graphs must not depend on it.
    return {name: specs[name] for name in SETTINGS if name in specs}


def _readable(name: str, model: type[BaseModel], error: ValidationError) -> list[str]:
    """One line per problem: where in the YAML, what is wrong, what was given, what is allowed."""
    problems = []
    for problem in error.errors():
        *above, last = problem["loc"] or (name,)
        if str(last).startswith("literal["):  # Pydantic tries `false` too; the other branch says all that is wrong
            continue
        unknown = problem["type"] == "extra_forbidden"
        steps, reached = _walk(model, tuple(above) if unknown else problem["loc"])
        place = ".".join([name, *steps, *([str(last)] if unknown else [])])
        allowed = dict.fromkeys(field for one in reached for field in getattr(one, "model_fields", {}))
        switch = any(one == Literal[False] for one in reached)
        lines = [f"no such parameter{did_you_mean(str(last), allowed)}"] if unknown else _worded(problem, switch)
        problems += [f"{place}: {line}" for line in lines]
    return list(dict.fromkeys(problems))


def _worded(problem: ErrorDetails, switch: bool) -> list[str]:
    """What is wrong; `switch` says whether `{}` and `false` switch this place on and off."""
    kind, given = problem["type"], problem["input"]
    if kind == "value_error":
        return problem["msg"].removeprefix("Value error, ").splitlines()
    shown = "" if isinstance(given, dict | list) else f" (given: {given!r})"
    if kind == "missing":
        message, shown = "is missing", ""
    elif kind in ("union_tag_not_found", "union_tag_invalid"):
        context = problem["ctx"]
        shown = f" (given: {context['tag']!r})" if "tag" in context else " (it is missing)"
        allowed = context.get("expected_tags", "'photographs', 'fabricated', 'noise'")
        message = f"{context['discriminator']} must be one of {allowed}".replace("'source'", "source")
    elif kind in ("dict_type", "model_type", "model_attributes_type"):
        message = "must be {} (on, with the defaults), {option: value} or false" if switch else "must be a mapping"
    else:
        message = problem["msg"].replace("Input should be", "must be").replace(" after validation", "")
        message = message.replace("Tuple should have", "must have")
    return [message + (" (a bare key was given)" if given is None else shown)]


def _walk(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[Any]]:
    """The steps of a Pydantic location that a reader of the YAML sees, and what a value may be there.

    Pydantic also names the branch of a union that it tried; these steps are left out, but choose what is allowed.
    """
    steps: list[str] = []
    reached = _alternatives(model)
    for step in location:
        inside = [inner for one in reached for inner in _inside(one, step)]
        if inside:
            steps.append(str(step))
            reached = inside
        else:
            reached = [one for one in reached if step in _tags(one)] or reached
    return steps, reached


def _alternatives(annotation: Any) -> list[Any]:
    """What a parameter may be: classes and containers, without the wrapping of unions and annotations."""
    if get_origin(annotation) in (Union, UnionType, Annotated):
        choices = get_args(annotation)[: 1 if get_origin(annotation) is Annotated else None]
        return [one for choice in choices for one in _alternatives(choice)]
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _alternatives(annotation.model_fields["root"].annotation)
    return [annotation]


def _inside(one: Any, step: int | str) -> list[Any]:
    """What lies at that key of a mapping, index of a list or field of a model; nothing if there is no such place."""
    if get_origin(one) is dict and "[" not in str(step):
        return _alternatives(get_args(one)[1])
    if get_origin(one) is tuple and isinstance(step, int):
        return _alternatives(get_args(one)[0])
    field = getattr(one, "model_fields", {}).get(str(step))
    return _alternatives(field.annotation) if field else []


def _tags(one: Any) -> tuple[Any, ...]:
    field = getattr(one, "model_fields", {}).get("source")
    return get_args(field.annotation) if field else ()


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
