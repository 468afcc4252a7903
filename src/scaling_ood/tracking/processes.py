"""Runs that a killed process left behind: every run says which process writes it, so that the next start can tell."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

import psutil  # type: ignore[import-untyped]
from mlflow.entities import Run, RunStatus
from mlflow.tracking import MlflowClient

PID, HOST, STARTED = "process.pid", "process.host", "process.started"
# The start time of a process is derived from that of the machine, which follows corrections of the clock.
_CLOCK_SECONDS = 5.0


def process_tags() -> dict[str, str]:
    """Tags of a run that this process writes: number, host, and start time in seconds since 1970."""
    process = psutil.Process()
    return {PID: str(process.pid), HOST: socket.gethostname(), STARTED: f"{process.create_time():.2f}"}


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process that these tags name still runs on this host; a later process with its number does not count.

    Raises:
        KeyError: The tags name no process.
    """
    try:
        process = psutil.Process(int(tags[PID]))
        same = abs(process.create_time() - float(tags[STARTED])) < _CLOCK_SECONDS
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def mark_killed(client: MlflowClient, experiment_id: str) -> list[str]:
    """End, as KILLED, the runs that are RUNNING in the store although their process on this host is gone.

    Runs of other hosts, and runs that name no process, are left alone.

    Returns:
        Ids of the runs that were ended.
    """
    host = socket.gethostname()
    running = search(client, experiment_id, "attributes.status = 'RUNNING'")
    killed = [
        run.info.run_id
        for run in running
        if run.data.tags.get(HOST) == host and {PID, STARTED} <= run.data.tags.keys() and not is_alive(run.data.tags)
    ]
    for run_id in killed:
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.KILLED))
    return killed


def search(client: MlflowClient, experiment_id: str, condition: str) -> Iterator[Run]:
    """All runs of an experiment under an MLflow filter, newest first, page by page; deleted ones are not among them."""
    token = None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=500, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
