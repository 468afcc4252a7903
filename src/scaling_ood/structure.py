"""What the graph is made of: read once from the merged configuration of the running environment.

Kedro builds pipelines without knowing the environment, so the hook that sees the configuration first tells this module.
Without a session (`kedro registry`, a notebook) the environment is that of `KEDRO_ENV`, or base alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from kedro.config import OmegaConfigLoader
from kedro.framework.project import settings
from kedro.utils import find_kedro_project
from pydantic import ValidationError

from scaling_ood.parameters import RuntimeSpec, SettingSpec

SETTINGS = ("multi_class", "multi_label", "segmentation")
# What `--params` sets; Kedro merges it into the parameters, beside being read where YAML names it.
RUN_TIME = ("data_root", "device", "precision")

_bound: dict[str, Mapping[str, Any]] = {}


def bind(parameters: Mapping[str, Any]) -> None:
    """Take over the merged parameters of the running session."""
    _bound["parameters"] = parameters


def setting_specs() -> dict[str, SettingSpec]:
    """Every setting of the running environment, checked.

    Raises:
        click.ClickException: Something is wrong with the parameters; all problems at once.
    """
    return checked(_bound["parameters"] if "parameters" in _bound else _without_session())


def detectors_of(spec: SettingSpec) -> list[str]:
    """Detectors that are switched on, in the order of the configuration."""
    return [name for name, options in spec.detectors.items() if options is not False]


def checked(parameters: Mapping[str, Any]) -> dict[str, SettingSpec]:
    """Settings by name, from merged parameters.

    `detector: {}` switches a detector on, `false` off; a bare key is an error. `setting: false` drops a setting.

    Raises:
        click.ClickException: Unknown keys, values out of range; all problems at once, with the nearest allowed word.
    """
    specs, problems = {}, []
    try:
        RuntimeSpec.model_validate(parameters.get("runtime", {}))
    except ValidationError as error:
        problems += _readable("runtime", error)
    for name, raw in parameters.items():
        if name in SETTINGS and raw is not False:
            try:
                specs[name] = SettingSpec.model_validate(raw)
            except ValidationError as error:
                problems += _readable(name, error)
        elif name not in (known := (*SETTINGS, "runtime", *RUN_TIME)):
            problems.append(f"{name}: no such parameter{_nearest(name, known)}")
    if not specs and not problems:
        problems.append(f"no setting is switched on (there are: {', '.join(SETTINGS)})")
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise click.ClickException(f"The parameters are not valid; nothing was run.\n{listed}")
    return specs


def _readable(name: str, error: ValidationError) -> list[str]:
    problems = []
    for problem in error.errors():
        place = ".".join(str(step) for step in (name, *problem["loc"]) if not _is_branch(step))
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"no such parameter{_nearest(str(problem['loc'][-1]), _fields_at(problem['loc'][:-1]))}"
        elif problem["input"] is None:
            message += " (a bare key; write {} for the defaults or false to switch it off)"
        elif not isinstance(problem["input"], dict | list):
            message += f" (given: {problem['input']!r})"
        problems.append(f"{place}: {message}")
    return list(dict.fromkeys(problems))


def _is_branch(step: object) -> bool:
    """Pydantic names the branch of a union in an error's place; a reader of YAML knows no branches."""
    return str(step) in ("photographs", "fabricated", "noise", "FabricationSpec") or str(step).startswith(
        ("literal[", "dict[")
    )


def _fields_at(place: tuple[int | str, ...]) -> tuple[str, ...]:
    model: Any = SettingSpec
    for step in place:
        field = getattr(model, "model_fields", {}).get(str(step))
        model = field.annotation if field else None
    return tuple(getattr(model, "model_fields", {}))


def _nearest(word: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(word, known, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return hint + (f" (known: {', '.join(known)})" if known else "")


def _without_session() -> Mapping[str, Any]:
    project = find_kedro_project(Path.cwd())
    if project is None:
        raise click.ClickException("There is no Kedro project here: run from the project's folder.")
    loader = OmegaConfigLoader(
        conf_source=str(project / settings.CONF_SOURCE),
        env=os.environ.get("KEDRO_ENV"),
        **settings.CONFIG_LOADER_ARGS,
    )
    parameters: Mapping[str, Any] = loader["parameters"]
    return parameters
