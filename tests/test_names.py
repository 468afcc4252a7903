"""Names become folders, columns and names in MLflow alike: of sets, networks, detectors and benchmarks."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import pytest

from scaling_ood.configuration import ConfigLoader
from scaling_ood.settings import CONFIG_LOADER_ARGS
from scaling_ood.structure import checked
from scaling_ood.tasks import tasks

PARAMETERS = ConfigLoader(str(Path(__file__).parents[1] / "conf"), env="test", **CONFIG_LOADER_ARGS)["parameters"]
SETTINGS = [task.name for task in tasks()]
PLACES = [
    "benchmark",
    "data_sets",
    *(f"{name}.{place}" for name in SETTINGS for place in ("data.in_dist", "networks", "detectors")),
]


def test_the_names_of_the_built_in_benchmark_are_fit() -> None:
    assert list(checked(PARAMETERS)) == SETTINGS


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["../../up", "a(1)", "a[1]", "a/b", "", "x" * 61])
def test_no_name_is_taken_that_a_folder_or_mlflow_would_change(place: str, name: str) -> None:
    parameters: Any = deepcopy(PARAMETERS)
    *above, last = place.split(".")
    inside = parameters
    for step in above:
        inside = inside[step]
    if isinstance(inside[last], str):
        inside[last] = name
    else:
        inside[last][name] = {"method": "msp"} if last == "detectors" else deepcopy(next(iter(inside[last].values())))
    with pytest.raises(click.ClickException, match="a name has letters, digits, _ and - alone"):
        checked(parameters)
