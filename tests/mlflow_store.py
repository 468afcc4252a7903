"""An empty MLflow store in SQLite. Making one takes seconds, so it is made once per process and copied."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from mlflow.tracking import MlflowClient


def empty_store(folder: Path) -> str:
    """Put an empty store `mlflow.db` into a folder and return its URI."""
    shutil.copy(_template(), folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


@cache
def _template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="mlflow-")) / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
