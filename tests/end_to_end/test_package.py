"""What `kedro package` makes runs by itself: installed elsewhere, in an empty folder, with the archive of `conf`."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pandas as pd
import pytest
from kedro_project import ROOT

pytestmark = pytest.mark.slow

SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "conf", "src")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Folder with `dist` in it, as `kedro package` leaves it; without the network, so the build is not isolated."""
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(["cp", "-r", *(str(ROOT / name) for name in SHIPPED), str(folder)], check=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"], cwd=folder, check=True
    )
    archive = ["tar", "--exclude=local/*.yml", "-czf", "dist/conf-scaling_ood.tar.gz", "conf"]
    subprocess.run(archive, cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def python(package):
    """An environment that has the wheel, and borrows all other packages from the one of the tests."""
    venv.create(package / "venv")
    own = Path(sysconfig.get_path("purelib", vars={"base": str(package / "venv")}))
    (own / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    (wheel,) = (package / "dist").glob("*.whl")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(own),
        str(wheel),
    ]
    subprocess.run(command, check=True)
    return package / "venv" / "bin" / "python"


def called(python, folder, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "KEDRO", "PYTHON"))}
    command = [str(each) for each in (python, *arguments)]
    environment = {**kept, "DO_NOT_TRACK": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run(python, package, folder, *arguments):
    source = package / "dist" / "conf-scaling_ood.tar.gz"
    return called(python, folder, "-m", "scaling_ood", "--conf-source", source, *arguments)


def test_it_runs_in_an_empty_folder(package, python, tmp_path):
    whose = "import scaling_ood, miniatures; print(scaling_ood.__file__, miniatures.__file__)"
    found = called(python, tmp_path, "-c", whose).stdout.split()
    assert [Path(each).is_relative_to(package / "venv") for each in found] == [True, True]
    done = run(python, package, tmp_path, "--env", "test", "--namespaces", "multi_label")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert "rich_logging" not in done.stderr
    results = pd.read_csv(tmp_path / "data/08_reporting/test/multi_label/results.csv")
    assert results["auroc"].notna().all()


def test_what_is_missing_is_told_with_the_command_that_works_there(package, python, tmp_path):
    done = run(python, package, tmp_path, "--env", "test", "--pipelines", "metric_reporting")
    assert done.returncode == 1
    archive = package / "dist" / "conf-scaling_ood.tar.gz"
    assert f"python -m scaling_ood --conf-source {archive} --to-outputs multi_label.manifest --env test" in done.stderr


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ("tset", "--env tset: no such folder in .*; did you mean 'test'\\? \\(known: base, "),
        ("samples", "make samples"),
    ],
)
def test_a_person_is_told_in_words(package, python, tmp_path, env, told):
    done = run(python, package, tmp_path, "--env", env)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(told, done.stderr)
