"""The `kedro run` as an MLflow run."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from mlflow.entities import RunStatus
from pydantic import BaseModel

from scaling_ood.parameters.detectors import Method
from scaling_ood.tracking.entries import Scalar, flatten_parameters, log_values
from scaling_ood.tracking.plugin import MlflowHook, mlflow_hook
from scaling_ood.tracking.processes import mark_killed, process_tags
from scaling_ood.tracking.source import source_tags
from scaling_ood.tracking.store import TRACKING_URI, create_store, located
from scaling_ood.tracking.underway import underway

QUIET = {
    **dict.fromkeys(
        ("alembic", "kedro_mlflow", "mlflow.pyfunc", "mlflow.system_metrics", "mlflow.tracking.fluent"), logging.WARNING
    ),
    # It logs the traceback of what it raises.
    "mlflow.store.db": logging.CRITICAL,
}
"""Loggers, and the least level that they show."""

DEFAULTS = {
    # Load of processor, memory and GPU every 2 s: runs may be short, and MLflow drops an unfinished interval.
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "true",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "2",
    # A server that does not answer delays a run by seconds; MLflow's own patience is 2 minutes, eight times.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Of MLflow's environment variables, unless the user's environment has them."""

_logger = logging.getLogger(__name__)


class TrackingHooks(MlflowHook):
    """kedro-mlflow's hook, with the store in the project, typed parameters as columns, and no run left RUNNING.

    It takes the place of the one that kedro-mlflow registers by itself: `settings.py` needs
    `HOOKS = (TrackingHooks(), ...)` and `DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)`.
    """

    def __init__(self) -> None:
        """No run is underway yet."""
        super().__init__()
        self._underway = False
        self._has_results = True

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Locate and complete the store, switch system metrics on, and let kedro-mlflow set MLflow up.

        Raises:
            RuntimeError: kedro-mlflow's own hook is registered too: it would track everything a second time.
        """
        if context._hook_manager.is_registered(mlflow_hook):
            raise RuntimeError('settings.py must say DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)')
        for logger, level in QUIET.items():
            logging.getLogger(logger).setLevel(level)
        self._end(RunStatus.KILLED)
        underway.begin()
        # One of several processes makes parts of products alone; they must not all write to the store.
        # Not `context.params`, for which Kedro builds all pipelines.
        self._has_results = not (context.config_loader["parameters"].get("runtime") or {}).get("part")
        if not self._has_results:
            return
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        uri = _locate_store(context)
        given = os.environ.get(TRACKING_URI)
        underway.attempt(partial(create_store, uri))
        underway.attempt(partial(super().after_context_created, context))
        # MLflow exports the URI; the next session of this process, of another project, would take it for the user's.
        os.environ.pop(TRACKING_URI, None)
        if given is not None:
            os.environ[TRACKING_URI] = given

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Clear up after killed processes, start the run, and say what runs: code, process, parameters."""
        if self._has_results:
            underway.attempt(partial(self._start, run_params, pipeline, catalog))

    def _start(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        _clear_up(self.mlflow_config.tracking.experiment.name)
        super().before_pipeline_run(run_params, pipeline, catalog)
        if not self._is_mlflow_enabled:
            return
        self._underway = not self._already_active_mlflow
        underway.parent = mlflow.active_run()
        atexit.register(self._end, RunStatus.KILLED)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _exit)
        mlflow.set_tags({**_run_tags(run_params), **process_tags()})
        log_values(mlflow.MlflowClient(), self.run_id, used_parameters(pipeline, catalog))

    @hook_impl
    def before_node_run(self) -> None:
        """Nothing, in place of what kedro-mlflow does: data sets know the run, in whatever thread they are.

        It would start the run again for every node, each time with one more monitor of the system
        (https://github.com/Galileo-Galilei/kedro-mlflow/issues/650), and log a typed parameter as one long string.
        """

    @hook_impl
    def after_pipeline_run(self) -> None:
        """End the run as FINISHED."""
        self._end(RunStatus.FINISHED)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """End the run as FAILED."""
        self._end(RunStatus.FAILED)

    def _end(self, status: int) -> None:
        """End the run, if it was begun here.

        After Ctrl-C and SIGTERM this is called at exit: Kedro calls no hook then, and MLflow would call it FINISHED.
        """
        while self._underway and mlflow.active_run() is not None:
            with suppress(Exception):  # what the store does not take now, the next run marks as KILLED
                mlflow.end_run(RunStatus.to_string(status))
        self._underway = False
        underway.parent = None
        if signal.getsignal(signal.SIGTERM) is _exit:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def used_parameters(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, Scalar]:
    """The parameters that the nodes of a pipeline take, flat, under the names they have in YAML.

    Of typed ones, those that are not as by default, which the code's version tells; of detectors, which have runs of
    their own, what they are and which network they read.
    """
    flat: dict[str, Scalar] = {}
    for name in sorted(pipeline.inputs()):
        if name == "parameters" or name.startswith("params:"):
            value = catalog[name].load()
            if isinstance(value, BaseModel):
                value = value.model_dump(exclude_defaults=True)
            elif isinstance(value, Method):
                value = value.network if value.method == value.name else f"{value.method} on {value.network}"
            flat |= flatten_parameters(value, name.removeprefix("params:").removeprefix("parameters"))
    return flat


def _exit(number: int, _: Any) -> None:
    """End the process at SIGTERM as `sys.exit` does, so that what is to be done at exit is done."""
    sys.exit(128 + number)


def _clear_up(experiment_name: str) -> None:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(experiment_name)
    for run_id in mark_killed(client, experiment.experiment_id) if experiment else ():
        _logger.warning("MLflow run %s was left running by a process that is gone: marked KILLED", run_id)


def _run_tags(run_params: dict[str, Any]) -> dict[str, str]:
    environment = run_params["env"] or "base"
    stages = ", ".join(run_params["pipeline_names"] or ["all stages"])
    return {
        "kind": "kedro_run",
        "env": environment,
        "mlflow.runName": f"{environment}: {stages}",
        **source_tags(Path(run_params["project_path"])),
    }


def _locate_store(context: KedroContext) -> str:
    """Put the store's location into the configuration, and return it."""
    loader: Any = context.config_loader
    loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
    try:
        config = loader["mlflow"]
    except MissingConfigException:
        config = {}
    loader["mlflow"] = located(config, Path(context.project_path), os.environ)
    return str(loader["mlflow"]["server"]["mlflow_tracking_uri"])
