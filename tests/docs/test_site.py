"""The site builds without a warning and without the network, and shows all of the public interface."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scaling_ood import detectors, metrics

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.html")}


def test_every_page_is_there(site):
    written = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert {f"{name}.html" for name in written | {"index", "contributing", "changelog"}} <= set(site)


def test_a_page_loads_nothing_from_elsewhere(site):
    for name, text in site.items():
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]* src=\"?([^\" >]+)", text)
        loaded += re.findall(r"<link[^>]* rel=\"?(?:stylesheet|preconnect|icon)\"?[^>]* href=\"?([^\" >]+)", text)
        assert not [each for each in loaded if re.match(r"(https?:)?//", each)], name
        assert "class=mermaid" not in text.replace('"', ""), f"{name}: the theme would fetch a script to draw it"


@pytest.mark.parametrize("module", [detectors, metrics], ids=lambda module: module.__name__)
def test_the_reference_has_every_public_name(site, module):
    page = site[f"reference-{module.__name__.rpartition('.')[2]}.html"]
    missing = [name for name in module.__all__ if not re.search(rf'id="{module.__name__}\.[\w.]*{name}"', page)]
    assert not missing


def test_examples_of_docstrings_are_shown_as_code(site):
    assert "&gt;&gt;&gt; " in site["reference-metrics.html"]
    assert not any("<blockquote>" in text for name, text in site.items() if name.startswith("reference"))


def test_the_page_of_parameters_has_their_places(site):
    assert "<code>multi_class.networks.&lt;name&gt;.epochs</code>" in site["reference-parameters.html"]


def test_what_belongs_to_a_numbered_line_stays_in_its_list(site):
    steps = site["own-data.html"].split('id="by-hand"')[1].split("<h2")[0]
    assert (steps.count("<ol>"), steps.count("<li>")) == (1, 3)
    assert not re.search(r"<ol[^>]* start=", steps)
