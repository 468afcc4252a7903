"""Registered pipelines: one per stage, and all of them together."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

STAGES = ("data_preparation", "model_training", "score_extraction", "metric_reporting")


def register_pipelines() -> dict[str, Pipeline]:
    """Every stage by name; `__default__` runs all."""
    pipelines = find_pipelines(raise_errors=True)
    # With `--pipelines` Kedro finds only the named ones.
    pipelines["__default__"] = sum((pipelines[stage] for stage in STAGES if stage in pipelines), Pipeline([]))
    return pipelines
