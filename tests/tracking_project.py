"""A Kedro project with one node, whose parameter `mode` says how it ends."""

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
        setting: {model: {epochs: 20, labels: [fine, coarse], input_px: null}}
        mode: finish
    """,
    "conf/base/catalog.yml": """
        run: {type: scaling_ood.datasets.mlflow_runs.MlflowRunsDataset, filepath: data/run.json}
    """,
    "conf/local/.gitkeep": "",
    "src/toy/__init__.py": "",
    "src/toy/settings.py": """
        from scaling_ood.tracking import TrackingHooks

        HOOKS = (TrackingHooks(),)
        DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)
    """,
    "src/toy/pipeline_registry.py": """
        import os, signal, time

        from kedro.pipeline import Node, Pipeline
        from pydantic import BaseModel
        from scaling_ood.records import RunRecord

        class Model(BaseModel):
            epochs: int
            labels: tuple[str, ...]
            input_px: int | None

        class Setting(BaseModel):
            model: Model

        def work(setting: Setting, mode: str) -> RunRecord:
            time.sleep(1)
            if mode == "fail":
                raise ValueError("no such thing")
            if mode == "interrupt":
                # What starts the tests in the background has processes ignore Ctrl-C.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(10)
            if mode == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            return RunRecord("child", {"kind": "detector"}, metrics={"auroc.mean": setting.model.epochs / 40})

        def relay(record: RunRecord) -> RunRecord:
            return record

        def register_pipelines():
            first = Node(work, ["params:setting", "params:mode"], "record", name="work")
            return {"__default__": Pipeline([first, Node(relay, "record", "run", name="relay")])}
    """,
    "run.py": """
        import sys
        from pathlib import Path

        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        project = Path(__file__).parent
        bootstrap_project(project)
        for mode in sys.argv[1:]:
            with KedroSession.create(project_path=project, runtime_params={"mode": mode}) as session:
                try:
                    session.run()
                except ValueError:
                    pass
    """,
}


def make_project(folder: Path) -> Path:
    """Write the project and return the script that runs it once for each mode it is given."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content).lstrip("\n"))
    return folder / "run.py"
