"""The graph of the upload: `unsent_runs -> send_runs -> sent_runs`."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.pipelines.upload.nodes import send_runs


def create_pipeline() -> Pipeline:
    """The upload of the running environment's runs, of all settings."""
    return Pipeline([Node(send_runs, "unsent_runs", "sent_runs", name="send_runs")])
