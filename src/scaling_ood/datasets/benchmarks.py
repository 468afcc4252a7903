"""One product of every benchmark that has been run, whichever the running environment is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from scaling_ood import storage


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
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Remember what to look for.

        Args:
            filepath: Folder of the layer, such as `data/08_reporting`.
            name: Of the file.
            dataset: Type of the data set that reads it, or its definition without a path.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        self._folder = storage.place(filepath, credentials, fs_args)
        self._name = name
        options = {name: value for name, value in {"credentials": credentials, "fs_args": fs_args}.items() if value}
        self._definition = {**options, **({"type": dataset} if isinstance(dataset, str) else dataset)}
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
            str(path), {**self._definition, "filepath": str(path)}
        )
        return dataset.load

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "name": self._name, "dataset": self._definition}
