"""The scripts of `benchmarks/` find all that they import."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "benchmarks"


def test_every_script_can_be_imported() -> None:
    names = sorted(path.stem for path in SCRIPTS.glob("*.py"))
    assert "score_extraction" in names
    command = [sys.executable, "-c", "import " + ", ".join(names)]
    done = subprocess.run(command, check=False, cwd=SCRIPTS, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
