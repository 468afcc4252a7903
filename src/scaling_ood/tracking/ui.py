"""`make ui`: MLflow's page of the project's store, opened on the saved view of the detectors."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mlflow.tracking import MlflowClient

from scaling_ood.tracking.views import address, experiment_of, save_views, saved_views

_PATIENCE_SECONDS = 60


@click.command()
@click.option("--env", default=None, help="Whose mlflow.yml; by default that of all benchmarks.")
def main(env: str | None) -> None:
    """Show MLflow, and open a browser where there is a screen."""
    bootstrap_project(Path.cwd())
    with KedroSession.create(Path.cwd(), env=env) as session:
        context: Any = session.load_context()  # type: ignore[attr-defined]
        config = context.mlflow
    store, name = config.server.mlflow_tracking_uri, config.tracking.experiment.name
    remote = store.startswith("http")
    server = store.rstrip("/") if remote else f"http://{config.ui.host}:{config.ui.port}"
    places = pages(MlflowClient(store), name, server)
    for view, place in places.items():
        click.echo(f"{view}: {place}")
    first = next(iter(places.values()))
    if remote:
        _open(first)
        return
    threading.Thread(target=_open_when_up, args=(first, config.ui.host, int(config.ui.port)), daemon=True).start()
    options = ["--backend-store-uri", store, "--host", config.ui.host, "--port", str(config.ui.port)]
    with suppress(KeyboardInterrupt):
        sys.exit(subprocess.call([sys.executable, "-m", "mlflow", "ui", *options]))


def pages(client: MlflowClient, experiment_name: str, server: str) -> dict[str, str]:
    """Names of the saved views to their addresses, that of all detectors first; without any run, the server's alone."""
    experiment = experiment_of(client, experiment_name)
    if experiment is None:
        return {"MLflow": server}
    save_views(client, experiment)
    saved = saved_views(client.get_experiment(experiment.experiment_id))
    return {name: address(server, experiment.experiment_id, key) for key, name in saved.items()}


def _open_when_up(place: str, host: str, port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            _open(place)
            return
        time.sleep(0.5)


def _open(place: str) -> None:
    """Not where a browser would take the terminal."""
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(place)


if __name__ == "__main__":
    main(prog_name="python -m scaling_ood.tracking.ui")
