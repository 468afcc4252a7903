import subprocess
import sys

import psutil
import pytest
from mlflow.tracking import MlflowClient
from mlflow_store import empty_store

from scaling_ood.tracking.processes import HOST, PID, STARTED, is_alive, mark_killed, process_tags, search


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    return MlflowClient(empty_store(tmp_path_factory.mktemp("store")))


@pytest.fixture
def experiment(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    return str(client.create_experiment(request.node.name))


@pytest.fixture(scope="module")
def dead() -> dict[str, str]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        tags = {**process_tags(), PID: str(process.pid), STARTED: str(psutil.Process(process.pid).create_time())}
        assert is_alive(tags)
        process.kill()
    return tags


def test_a_killed_process_is_not_alive(dead: dict[str, str]) -> None:
    assert not is_alive(dead)


def test_a_later_process_with_the_same_number_does_not_count() -> None:
    assert is_alive(process_tags())
    assert not is_alive({**process_tags(), STARTED: "1000.0"})


def test_only_runs_of_dead_processes_of_this_host_are_marked(
    client: MlflowClient, experiment: str, dead: dict[str, str]
) -> None:
    tags = {
        "killed": dead,
        "living": process_tags(),
        "other_host": {**dead, HOST: "elsewhere"},
        "unknown": {},
        "finished": dead,
    }
    runs = {name: client.create_run(experiment, tags=run_tags, run_name=name) for name, run_tags in tags.items()}
    client.set_terminated(runs["finished"].info.run_id)

    assert mark_killed(client, experiment) == [runs["killed"].info.run_id]
    status = {name: client.get_run(run.info.run_id).info.status for name, run in runs.items()}
    assert status == {
        "killed": "KILLED",
        "living": "RUNNING",
        "other_host": "RUNNING",
        "unknown": "RUNNING",
        "finished": "FINISHED",
    }


def test_search_goes_through_all_pages(client: MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [client.create_run(experiment).info.run_id for _ in range(3)]
    whole_pages = client.search_runs
    monkeypatch.setattr(
        client, "search_runs", lambda *args, **options: whole_pages(*args, **{**options, "max_results": 2})
    )
    assert sorted(run.info.run_id for run in search(client, experiment, "")) == sorted(made)
