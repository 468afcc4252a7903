"""Registered pipelines: one per stage, all of them together, `packaging`, `comparison` and `upload`."""

from __future__ import annotations

from importlib import import_module

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

STAGES = ("data_preparation", "model_training", "score_extraction", "metric_reporting")


def register_pipelines() -> dict[str, Pipeline]:
    """Every stage by name, `packaging`, `comparison` and `upload`; `__default__` runs the stages."""
    pipelines = find_pipelines(raise_errors=True)
    # With `--pipelines` Kedro finds only the named ones.
    pipelines["__default__"] = sum((pipelines[stage] for stage in STAGES if stage in pipelines), Pipeline([]))
    return pipelines


def whole_graph() -> Pipeline:
    """All stages, whichever of them run."""
    stages = (import_module(f"scaling_ood.pipelines.{stage}").create_pipeline() for stage in STAGES)
    return sum(stages, Pipeline([]))
