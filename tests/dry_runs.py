"""Runs several benchmarks of a project, one after the other, in one process: `python dry_runs.py PROJECT PLAN`.

The plan is a JSON file: a list of `[environment, run-time parameters]`. A run that fails does not keep the others from
running. What became of each is written to `dry_runs.json` in the project.
"""

import json
import sys
import time
import traceback
from pathlib import Path

from kedro.framework.project import configure_project
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner


def outcome(project: Path, environment: str, params: dict) -> dict:
    """Seconds of the processor that a run took, and why it failed, if it did."""
    started = time.process_time()
    problem = ""
    try:
        # Kedro keeps the graph that it found first, which is another benchmark's.
        configure_project("scaling_ood")
        with KedroSession.create(project_path=project, env=environment, runtime_params=params) as session:
            session.run(runner=SequentialRunner())
    except Exception:
        problem = traceback.format_exc()
    return {"seconds": time.process_time() - started, "problem": problem}


if __name__ == "__main__":
    project, plan = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    bootstrap_project(project)
    outcomes = {environment: outcome(project, environment, params) for environment, params in plan}
    (project / "dry_runs.json").write_text(json.dumps(outcomes))
