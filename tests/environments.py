"""Every benchmark of the project, as Kedro would put it together; a person's own folders in `conf` are left alone."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from scaling_ood import structure
from scaling_ood.configuration import ConfigLoader
from scaling_ood.pipeline_registry import whole_graph
from scaling_ood.settings import CONFIG_LOADER_ARGS
from scaling_ood.structure import Setting

CONF = Path(__file__).parents[1] / "conf"
_SECTION = (CONF.parent / "docs" / "data.md").read_text(encoding="utf-8").split("\n## ")[1]
BENCHMARKS = sorted(set(re.findall(r"^\| `(\w+)` \|", _SECTION, flags=re.MULTILINE)))
"""Those that the page of data describes, by which a new one of the project's is tried too."""


@contextmanager
def bound(parameters: Mapping[str, Any]) -> Iterator[None]:
    """The parameters of a session, for as long as its graph is built."""
    before = dict(structure._bound)
    structure._bound.clear()
    structure._bound["parameters"] = parameters
    try:
        yield
    finally:
        structure._bound.clear()
        structure._bound.update(before)


class Environment:
    """One environment, without any of its photographs."""

    def __init__(self, name: str, **runtime_params: Any) -> None:
        self.name = name
        self.loader = ConfigLoader(str(CONF), name, runtime_params, **CONFIG_LOADER_ARGS)
        self.parameters: dict[str, Any] = self.loader["parameters"]

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """Its settings, checked."""
        return structure.checked(self.parameters)

    @cached_property
    def graph(self) -> Pipeline:
        """Every stage of every setting."""
        with bound(self.parameters):
            return whole_graph()

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The catalog, as it is written."""
        return {name: entry for name, entry in self.loader["catalog"].items() if not name.startswith("_")}

    @cached_property
    def catalog(self) -> DataCatalog:
        """Where everything is stored."""
        return DataCatalog.from_config(self.entries)

    @cached_property
    def products(self) -> list[str]:
        """Names of everything that is read and written, parameters aside."""
        return sorted(name for name in self.graph.datasets() if not name.startswith("params:"))

    def entry(self, name: str) -> str:
        """The catalog entry that a product resolves to; empty where it would fall back to memory."""
        return name if name in self.entries else self.catalog.config_resolver.match_dataset_pattern(name) or ""

    def own(self) -> dict[str, Any]:
        """What its own file of parameters says."""
        content: dict[str, Any] = yaml.safe_load((CONF / self.name / "parameters.yml").read_text(encoding="utf-8"))
        return content


@cache
def environment(name: str) -> Environment:
    """Read once, whichever test asks."""
    return Environment(name)
