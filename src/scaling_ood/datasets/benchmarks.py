"""One product of every benchmark that has been run, whichever the running environment is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError


class BenchmarksDataset(AbstractDataset[None, dict[str, Callable[[], Any]]]):
    """The files `<filepath>/<benchmark>/<setting>/<name>` that are there. Read only; empty where nothing has run.

    Kedro's own partitioned data set would also take the files of single detectors, and fails where there are none.

    YAML:
        ```yaml
        all_results:
          type: scaling_ood.datasets.BenchmarksDataset
          filepath: data/08_reporting
          name: results.csv
          dataset: pandas.CSVDataset
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        name: str,
        dataset: str | Mapping[str, Any],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Remember what to look for.

        Args:
            filepath: Folder of the layer, such as `data/08_reporting`.
            name: Of the file.
            dataset: Type of the data set that reads it, or its definition without a path.
            metadata: For Kedro-Viz; not used here.
        """
        self._folder = Path(filepath)
        self._name = name
        self._definition = {"type": dataset} if isinstance(dataset, str) else dict(dataset)
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], Any]]:
        """`<benchmark>/<setting>` to what loads its file, in alphabetical order."""
        return {
            path.parent.relative_to(self._folder).as_posix(): self._reader(path)
            for path in sorted(self._folder.glob(f"*/*/{self._name}"))
        }

    def save(self, data: None) -> None:  # noqa: ARG002
        """Refused: each benchmark writes its own."""
        raise DatasetError(f"{self._folder}/*/*/{self._name} is read only")

    def _reader(self, path: Path) -> Callable[[], Any]:
        dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config(
            path.as_posix(), {**self._definition, "filepath": path.as_posix()}
        )
        return dataset.load

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "name": self._name, "dataset": self._definition}
