"""The `kedro run` as an MLflow run."""

from __future__ import annotations

import atexit
import logging
import os
from pathlib import Path
from typing import Any

import mlflow
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook, mlflow_hook
from mlflow.entities import RunStatus

from scaling_ood.tracking.entries import Scalar, flatten_parameters, log_parameters
from scaling_ood.tracking.processes import mark_killed, process_tags
from scaling_ood.tracking.source import source_tags
from scaling_ood.tracking.store import TRACKING_URI, create_store, located

NOISY = ("alembic", "kedro_mlflow", "mlflow.store.db", "mlflow.system_metrics", "mlflow.tracking.fluent")
SYSTEM_METRICS = {"MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "true", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "2"}
"""Load of processor, memory and GPU every 2 s (runs may be short, and MLflow drops an unfinished interval), unless the
user's environment says otherwise."""

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

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Locate and complete the store, switch system metrics on, and let kedro-mlflow set MLflow up.

        Raises:
            RuntimeError: kedro-mlflow's own hook is registered too: it would track everything a second time.
        """
        if context._hook_manager.is_registered(mlflow_hook):
            raise RuntimeError('settings.py must say DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)')
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._end_interrupted()
        for name, value in SYSTEM_METRICS.items():
            os.environ.setdefault(name, value)
        _locate_store(context)
        given = os.environ.get(TRACKING_URI)
        super().after_context_created(context)
        # MLflow exports the URI; the next session of this process, of another project, would take it for the user's.
        os.environ.pop(TRACKING_URI, None)
        if given is not None:
            os.environ[TRACKING_URI] = given

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Clear up after killed processes, start the run, and say what runs: code, process, parameters."""
        _clear_up(self.mlflow_config.tracking.experiment.name)
        super().before_pipeline_run(run_params, pipeline, catalog)
        if not self._is_mlflow_enabled:
            return
        self._underway = not self._already_active_mlflow
        atexit.register(self._end_interrupted)
        mlflow.set_tags({**_run_tags(run_params), **process_tags()})
        log_parameters(mlflow.MlflowClient(), self.run_id, used_parameters(pipeline, catalog))

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog, inputs: dict[str, Any], is_async: bool) -> None:  # noqa: ARG002
        """Make the run active in a runner's thread; in the main thread it is.

        kedro-mlflow would start it again for every node, each time with one more monitor of the system
        (https://github.com/Galileo-Galilei/kedro-mlflow/issues/650), and log a typed parameter as one long string: that
        is why it does not get the inputs.
        """
        if mlflow.active_run() is None:
            super().before_node_run(node, catalog, {}, is_async)

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """End the run as FINISHED."""
        self._underway = False
        super().after_pipeline_run(run_params, pipeline, catalog)

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """End the run as FAILED."""
        self._underway = False
        super().on_pipeline_error(error, run_params, pipeline, catalog)

    def _end_interrupted(self) -> None:
        """End what Ctrl-C left open: Kedro calls no hook then, and at exit MLflow would call the run FINISHED."""
        while self._underway and mlflow.active_run() is not None:
            mlflow.end_run(RunStatus.to_string(RunStatus.KILLED))
        self._underway = False


def used_parameters(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, Scalar]:
    """All parameters that the nodes of a pipeline take, flat, under the names they have in YAML."""
    flat: dict[str, Scalar] = {}
    for name in sorted(pipeline.inputs()):
        if name == "parameters" or name.startswith("params:"):
            flat |= flatten_parameters(catalog[name].load(), name.removeprefix("params:").removeprefix("parameters"))
    return flat


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


def _locate_store(context: KedroContext) -> None:
    loader: Any = context.config_loader
    loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
    try:
        config = loader["mlflow"]
    except MissingConfigException:
        config = {}
    loader["mlflow"] = located(config, Path(context.project_path), os.environ)
    create_store(loader["mlflow"]["server"]["mlflow_tracking_uri"])
