"""What the pages show works: Python examples run, links lead somewhere, commands and data sets exist."""

import doctest
import re
from pathlib import Path

import pytest
import yaml

from scaling_ood.downloads import SAMPLES
from scaling_ood.images import layout_names

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md"])
SET_LIBRARY = ROOT / "conf" / "base" / "settings" / "multi_class" / "parameters_data_sets.yml"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def python_of(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return "\n".join(block for block in blocks if ">>>" in block)


@every_page
def test_python_examples_run(page):
    examples = doctest.DocTestParser().get_doctest(python_of(page), {}, page.name, str(page), 0)
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert results.failed == 0


@every_page
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_make_targets_and_environments_exist(page):
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE)) <= targets
    named = set(re.findall(r"kedro run --env (\w+)", text)) - {"my_benchmark"}
    assert all((ROOT / "conf" / environment).is_dir() for environment in named)


def test_the_data_page_names_every_set_layout_and_benchmark():
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    library = yaml.safe_load(SET_LIBRARY.read_text(encoding="utf-8"))["multi_class"]["data_sets"]
    photographs = {entry["folder"] for entry in library.values() if entry["source"] == "photographs"}
    noise = {name for name, entry in library.items() if entry["source"] == "noise"}
    assert all(f"`{name}`" in page for name in photographs | {source.name for source in SAMPLES})
    assert all(name in page for name in noise)
    assert all(f"| `{name}` |" in page for name in layout_names())
    for folder in (ROOT / "conf").iterdir():
        if (folder / "globals.yml").is_file() and folder.name not in ("base", "local"):
            assert f"| `{folder.name}` |" in page
