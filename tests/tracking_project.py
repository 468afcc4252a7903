"""A Kedro project with two nodes, whose parameter `mode` says how a run ends, and what its store does."""

import textwrap
from pathlib import Path

FILES = {
    "pyproject.toml": """
        [tool.kedro]
        package_name = "toy"
        project_name = "toy"
        kedro_init_version = "1.7.0"
        source_dir = "src"
    """,
    ".telemetry": "consent: false",
    "conf/base/mlflow.yml": """
        server: {mlflow_tracking_uri: "sqlite:///mlflow.db"}
        tracking: {experiment: {name: toy}}
    """,
    "conf/base/parameters.yml": """
        setting: {model: {epochs: 20, labels: [fine, coarse], input_px: 224}}
        mode: finish
    """,
    "conf/base/catalog.yml": """
        runs: {type: scaling_ood.datasets.MlflowRunsDataset, filepath: data/08_reporting/toy/setting/runs.json}
        unsent_runs: {type: scaling_ood.datasets.UnsentRunsDataset, filepath: data, benchmark: toy}
        sent_runs: {type: scaling_ood.datasets.UnsentRunsDataset, filepath: data, benchmark: toy}
    """,
    "conf/local/.gitkeep": "",
    "src/toy/__init__.py": "",
    "src/toy/settings.py": """
        from scaling_ood.session import Session
        from scaling_ood.tracking.hooks import TrackingHooks

        HOOKS = (TrackingHooks(),)
        DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)
        SESSION_CLASS = Session
    """,
    "src/toy/pipeline_registry.py": """
        import os, signal, time

        import pandas as pd
        from kedro.pipeline import Node, Pipeline
        from matplotlib.figure import Figure
        from pydantic import BaseModel
        from scaling_ood.pipelines.upload import create_pipeline
        from scaling_ood.products.records import RunRecord

        TAGS = {"kind": "detector", "setting": "setting", "benchmark": "toy", "detector": "msp"}

        class Model(BaseModel):
            epochs: int
            labels: tuple[str, ...]
            input_px: int = 224

        class Setting(BaseModel):
            model: Model

        def work(raw: dict, mode: str) -> dict[str, RunRecord]:
            time.sleep(1)
            setting = Setting.model_validate(raw)
            if mode == "fail":
                raise ValueError("no such thing")
            if mode == "interrupt":
                # What starts the tests in the background has processes ignore Ctrl-C.
                signal.signal(signal.SIGINT, signal.default_int_handler)
            number = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "kill": signal.SIGKILL}.get(mode)
            if number:
                os.kill(os.getpid(), number)
                time.sleep(10)
            metrics, curves = {"auroc.mean": setting.model.epochs / 40}, {"loss": [2.0, 1.0]}
            shown = {"figures": {"roc": Figure()}, "tables": {"results": pd.DataFrame({"auroc": [0.5]})}}
            return {"msp": RunRecord("child", TAGS, {"mode": mode}, metrics, curves, **shown)}

        def relay(records: dict[str, RunRecord]) -> dict[str, RunRecord]:
            return records

        def register_pipelines():
            first = Node(work, ["params:setting", "params:mode"], "records", name="work")
            whole = Pipeline([first, Node(relay, "records", "runs", name="relay")])
            return {"__default__": whole, "upload": create_pipeline()}
    """,
    "run.py": """
        import http.server, json, os, socket, sqlite3, sys, threading, time
        from contextlib import contextmanager
        from pathlib import Path

        import click
        from kedro.framework.project import settings
        from kedro.framework.startup import bootstrap_project
        from kedro.runner import SequentialRunner, ThreadRunner

        project = Path(__file__).parent

        class Broken(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_error(500)
            do_POST = do_GET
            def log_message(self, *_):
                pass

        @contextmanager
        def store(kind):
            place = f"sqlite:///{project}/mlflow.db"
            if kind == "locked":
                held = sqlite3.connect(project / "mlflow.db", isolation_level=None)
                held.execute("BEGIN EXCLUSIVE")
                yield place
                held.close()
            elif kind == "broken":
                with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
                    threading.Thread(target=server.serve_forever, daemon=True).start()
                    yield f"http://127.0.0.1:{server.server_port}"
                    server.shutdown()
            elif kind in ("silent", "absent"):
                with socket.create_server(("127.0.0.1", 0)) as server:
                    port = server.getsockname()[1]
                    if kind == "absent":
                        server.close()
                    yield f"http://127.0.0.1:{port}"
            else:
                yield place

        def run(mode, kind):
            runner = ThreadRunner() if mode == "thread" else SequentialRunner(is_async=mode == "async")
            with settings.SESSION_CLASS.create(project_path=project, runtime_params={"mode": mode}) as session:
                session.run(runner=runner, pipeline_names=["upload"] if mode == "upload" else None)

        bootstrap_project(project)
        for argument in sys.argv[1:]:
            mode, _, kind = argument.partition("@")
            with store(kind) as os.environ["MLFLOW_TRACKING_URI"]:
                started, error = time.monotonic(), ""
                try:
                    run(mode, kind)
                except click.ClickException as raised:
                    error = raised.message
                print(json.dumps({"run": argument, "seconds": time.monotonic() - started, "error": error}), flush=True)
    """,
}


def make_project(folder: Path) -> Path:
    """Write the project and return the script that runs it once for each `mode[@store]` it is given."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content).lstrip("\n"))
    return folder / "run.py"
