"""Detectors of other installed packages: found by their entry points, by their own names, or refused with a reason."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch

from scaling_ood.detectors import Outputs, base, build_detector, detector_class, detector_names
from scaling_ood.detectors.installed import GROUP
from scaling_ood.parameters.detectors import DetectorSpec, methods_of
from scaling_ood.registry import Registry

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/add-detector.md").read_text(encoding="utf-8")
MARGIN = next(
    code for code in re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL) if "class Margin(" in code
)


def install(site, package, version, points, files):
    """Lay a package and its metadata out, as pip does."""
    place = site / package
    place.mkdir(parents=True)
    for name, code in {"__init__": "", **files}.items():
        (place / f"{name}.py").write_text(code)
    record = site / f"{package}-{version}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (record / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages, and a registry that forgets them after the test."""
    detector_names()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(base, "_REGISTRY", Registry("detector", base._REGISTRY))
    before = set(sys.modules)
    base._import_all.cache_clear()
    yield tmp_path
    base._import_all.cache_clear()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_detector_of_an_installed_package_is_one_by_its_own_name(site):
    install(site, "others", "1.2", {"margin": "others.margin"}, {"margin": MARGIN})
    assert "margin" in detector_names()
    assert detector_class("margin").package == "others 1.2"
    score = build_detector("margin").score(Outputs(torch.tensor([[1.0, 5.0, 2.0], [3.0, 3.0, 0.0]])))
    assert score.tolist() == [-3.0, 0.0]


def test_its_packages_version_is_part_of_the_key_of_its_scores_and_ours_have_none(site):
    install(site, "others", "1.2", {"margin": "others.margin"}, {"margin": MARGIN})
    methods = methods_of({name: DetectorSpec() for name in ("margin", "msp")})
    assert methods["margin"].what_matters()["package"] == "others 1.2"
    assert "package" not in methods["msp"].what_matters()


def test_a_name_that_is_taken_is_refused_with_both_owners(site, caplog):
    ours = detector_class("msp")
    base._import_all.cache_clear()
    install(site, "others", "1.2", {"msp": "others.msp"}, {"msp": MARGIN})
    told = r"^detector name 'msp' is taken: this project has one, and so has others 1\.2; "
    with pytest.raises(ValueError, match=told):
        build_detector("msp")
    assert base._REGISTRY["msp"] is ours
    assert caplog.text.count("is taken") == 1
    assert build_detector("max_logit").name == "max_logit"


def test_of_two_packages_with_one_name_both_are_named(site):
    for package in ("first", "second"):
        install(site, package, "1.0", {"margin": f"{package}.margin"}, {"margin": MARGIN})
    with pytest.raises(ValueError, match=r"(first|second) 1\.0 has one, and so has (first|second) 1\.0"):
        build_detector("margin")


@pytest.mark.parametrize(
    ("points", "files", "told"),
    [
        ({"margin": "others.absent"}, {}, "others.absent cannot be imported: No module named 'others.absent'"),
        ({"margin": "others.margin"}, {"margin": "1 / 0"}, "others.margin cannot be imported: division by zero"),
        ({"edge": "others.margin"}, {"margin": MARGIN}, "others.margin has no detector of that name: its file is"),
        ({"edge": "others.msp"}, {"msp": MARGIN}, "'msp' is taken by scaling_ood.detectors.msp"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason_and_nothing_else_is(site, points, files, told):
    install(site, "others", "1.2", points, files)
    (name,) = points
    with pytest.raises(ValueError, match=rf"^detector '{name}' of others 1\.2 is refused: .*{re.escape(told)}"):
        build_detector(name)
    assert build_detector("energy").name == "energy"


def test_no_detector_of_this_project_is_named_by_an_entry_point():
    ours = {name for name in detector_names() if not detector_class(name).package}
    assert not ours & {point.name for point in entry_points(group=GROUP)}


@pytest.mark.slow
def test_it_passes_the_contract_and_breaks_no_test_of_the_pages(tmp_path):
    install(tmp_path, "others", "1.2", {"margin": "others.margin"}, {"margin": MARGIN})
    places = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    tests = ["tests/detectors/test_contract.py", "tests/docs/test_capabilities.py", "tests/docs/test_detectors_doc.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", *tests]
    chosen = ["-k", "margin or test_capabilities or test_detectors_doc"]
    environment = {**os.environ, "PYTHONPATH": places}
    done = subprocess.run([*command, *chosen], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > len(tests)
