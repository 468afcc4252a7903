"""Serve a packaged model: what `mlflow models serve --env-manager local` does, with a guard before it."""

from __future__ import annotations

import click

_MEGABYTE = 1_000_000


@click.command()
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface to listen on.")
@click.option("--port", default=5001, show_default=True, help="Port to listen on.")
@click.option(
    "--most-megabytes", default=100.0, show_default=True, help="Of one request; a larger one is answered with 413."
)
def serve(model: str, host: str, port: int, most_megabytes: float) -> None:
    """Answer POST requests to /invocations, in MLflow's protocol.

    MODEL is the folder of a packaged model, or its address, such as models:/NAME/1.
    """
    # Late, as they take seconds, and --help does not need them.
    import uvicorn
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import init

    from scaling_ood.serving.guarded import Guarded

    try:
        app = init(load_model(model))
    except (MlflowException, OSError, ValueError) as error:
        raise click.ClickException(f"{model} cannot be loaded: {error}") from error
    uvicorn.run(Guarded(app, int(most_megabytes * _MEGABYTE)), host=host, port=port)
