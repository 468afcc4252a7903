"""The tables of all parameters: their places in YAML, types, defaults and meanings, from the models that check them.

`make docs` puts them into the page of parameters; `python docs/parameter_tables.py` prints them.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scaling_ood.configuration import ConfigLoader
from scaling_ood.images import Noise
from scaling_ood.parameters.common import RenderingSpec, RuntimeSpec, Silent
from scaling_ood.parameters.data_sets import DataSets, NoiseSpec
from scaling_ood.tasks import tasks

ROOT = Path(__file__).parents[1]
ANY = "<name>"
"""Stands in a path for a name of one's choice."""

_TYPES: dict[Any, str] = {int: "integer", float: "number", str: "text", bool: "true or false", Any: "any"}
_SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
_LONGEST = 40
"""A default with more characters is looked up."""

_NOT_GIVEN = "not to be given."
"""How the meaning of a field ends that YAML cannot say."""

_SHARED_DOCS: dict[type, type] = {NoiseSpec: Noise}
"""Models whose fields another class describes."""


class Row(NamedTuple):
    """One parameter.

    Attributes:
        path: Its place in YAML.
        kind: Its type and range, in words.
        default: As in YAML; empty where it must be given.
        meaning: One paragraph.
        keyed: Whether it is part of the keys of what is made with it.
        variant: Of which kind its mapping is, where there are several kinds.
    """

    path: str
    kind: str
    default: str
    meaning: str
    keyed: bool
    variant: str = ""


def rows() -> list[Row]:
    """All parameters of all settings, in the order of the models."""
    found = [*_rows("runtime", RuntimeSpec), *_rows("data_sets", DataSets)]
    for task in tasks():
        found += _rows(task.name, task.spec)
    return found


def page() -> str:
    """A table for every mapping of the first two levels; the deeper ones stand in the table of the one above."""
    lines: list[str] = []
    section = ""
    for row in rows():
        if (own := _section(row)) != section:
            section = own
            lines += ["", f"## {section}", "", "| parameter | type and range | default | meaning | key |"]
            lines.append("|---|---|---|---|---|")
        default = f"`{row.default}`" if row.default else "must be given"
        if len(default) > _LONGEST:
            default = "`conf/base`"
        cells = [f"`{row.path}`", row.kind, default, row.meaning, "yes" if row.keyed else "no"]
        lines.append(f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |")
    return "\n".join(lines) + "\n"


def _section(row: Row) -> str:
    """The heading under which a parameter stands: the first levels of its place."""
    first, *rest = row.path.split(".")
    place = first if first == "runtime" else f"{first}.{rest[0]}"
    if rest[0] in ("networks", "detectors"):
        place += f".{ANY}"
    return f"`{place}`: {row.variant}" if row.variant else f"`{place}`"


def _rows(path: str, model: Any, keyed: bool = True, variant: str = "", stated: bool = True) -> Iterator[Row]:
    """The fields of a model, and those of the models in it; `stated` where `conf/base` speaks of this kind."""
    if issubclass(model, RootModel):
        yield from _inside(path, model.model_fields["root"].annotation, keyed, variant, stated)
        return
    if issubclass(model, RenderingSpec):
        told, kinds = _meanings(model.of), get_type_hints(model.of, include_extras=True)
        for each in dataclasses.fields(model.of):
            default = "" if each.default is dataclasses.MISSING else _yaml(each.default)
            meaning = told.get(each.name, "")
            yield Row(f"{path}.{each.name}", _kind(kinds[each.name], ()), default, meaning, keyed, variant)
        return
    told = {**_meanings(_SHARED_DOCS.get(model, model)), **_meanings(model)}
    for name, field in model.model_fields.items():
        own = f"{path}.{name}"
        if told.get(name, "").endswith(_NOT_GIVEN):
            continue
        matters = keyed and not any(mark is Silent or isinstance(mark, Silent) for mark in field.metadata)
        if not _needs_no_row(field.annotation):
            kind = _kind(field.annotation, field.metadata)
            yield Row(
                own, kind, _default(_stated(own) if stated else None, field), told.get(name, ""), matters, variant
            )
        yield from _inside(own, field.annotation, matters, variant, stated)


def _needs_no_row(annotation: Any) -> bool:
    """Whether a value is always a mapping of known parameters, which have rows of their own."""
    annotation = _bare(annotation)
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    return all(_models(each) for each in parts)


def _inside(path: str, annotation: Any, keyed: bool, variant: str, stated: bool) -> Iterator[Row]:
    annotation = _bare(annotation)
    if _is_mapping(annotation):
        path, annotation = f"{path}.{ANY}", get_args(annotation)[1]
    models = [*dict.fromkeys(_models(annotation))]
    for model in models:
        kind = _first_words(model) if len(models) > 1 else variant
        yield from _rows(path, model, keyed, kind, stated and model is models[0])


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return inspect.isclass(origin) and issubclass(origin, Mapping)


def _first_words(described: type) -> str:
    """What the docstring of a model begins with, as part of a heading."""
    words = re.split(r"[.;:,]", inspect.getdoc(described) or described.__name__)[0]
    return words[0].lower() + words[1:]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Models that a value may be."""
    annotation = _bare(annotation)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType):
        return [model for each in get_args(annotation) for model in _models(each)]
    return []


def _bare(annotation: Any) -> Any:
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _kind(annotation: Any, marks: Any) -> str:
    """A type and its range, in words.

    >>> _kind(Annotated[int, Ge(1)] | None, ())
    'integer ≥ 1, or null'
    """
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        return _kind(annotation, [*marks, *more])
    if get_origin(annotation) in (Union, UnionType):
        words = [_kind(each, marks) for each in get_args(annotation) if each is not NoneType]
        return " or ".join(words) + (", or null" if NoneType in get_args(annotation) else "")
    flat = [mark for each in marks for mark in (each.metadata if isinstance(each, FieldInfo) else [each])]
    kinds = [(each, type(each)) for each in flat if type(each) in _SIGNS]
    limits = [f"{_SIGNS[kind]} {getattr(each, kind.__name__.lower()):g}" for each, kind in kinds]
    least = [f"at least {each.min_length}" for each in flat if isinstance(each, MinLen) and not _is_fixed(annotation)]
    named = _named(annotation)
    return ", ".join([*([f"{named} {limits[0]}", *limits[1:]] if limits else [named]), *least])


def _is_fixed(annotation: Any) -> bool:
    """Whether it is a list of a fixed length."""
    return get_origin(annotation) is tuple and get_args(annotation)[-1] is not Ellipsis


def _named(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{_yaml(each)}`" for each in inner)
    if _is_fixed(annotation):
        return f"list of {len(inner)}"
    if origin in (tuple, list):
        return f"list of {_kind(inner[0], ())}"
    if origin is not None or _models(annotation):
        return "mapping"
    return _TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(stated: Any, field: FieldInfo) -> str:
    """What is stated, or else what the code says."""
    if stated is not None:
        return _yaml(stated)
    if field.default is not PydanticUndefined:
        return _yaml(field.default)
    return "" if field.default_factory is None else "{}"


def _stated(path: str) -> Any:
    """What YAML of `conf/base` says, of networks what it says of the shared one; None where it says nothing."""
    setting, *steps = path.split(".")
    shared = next((task.spec.shared for task in tasks() if task.name == setting), ANY)
    value: Any = _base().get(setting)
    for step in steps:
        value = value.get(shared if step == ANY else step) if isinstance(value, Mapping) else None
    return value


@cache
def _base() -> dict[str, Any]:
    """The parameters of `conf/base` alone."""
    parameters: dict[str, Any] = ConfigLoader(str(ROOT / "conf"), "base", base_env="base")["parameters"]
    return parameters


def _yaml(value: Any) -> str:
    """A value as YAML writes it, in one line.

    >>> _yaml(None), _yaml(True), _yaml((0, 1)), _yaml(1e-05)
    ('null', 'true', '[0, 1]', '1e-05')
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    words = {None: "null", True: "true", False: "false", "": '""'}
    return words[value] if isinstance(value, bool | str | NoneType) and value in words else str(value)


def _meanings(described: type) -> dict[str, str]:
    """Name of a parameter to what the docstrings of a class and its bases say of it."""
    found: dict[str, str] = {}
    for each in reversed(described.__mro__):
        attributes = inspect.cleandoc(each.__dict__.get("__doc__") or "").partition("\nAttributes:\n")[2]
        block = re.split(r"\n\n?(?=\S)", attributes)[0]
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(block)):
            name, colon, told = entry.partition(": ")
            if colon:
                found |= dict.fromkeys(name.strip().split(", "), " ".join(told.split()))
    return found


if __name__ == "__main__":
    sys.stdout.write(page())
