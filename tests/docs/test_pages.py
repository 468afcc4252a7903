"""What the pages show works: Python examples run, links lead somewhere, commands and data sets exist."""

import doctest
import re
import shutil
import sys
import textwrap
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from kedro.framework.cli.utils import _split_params
from PIL import Image
from torch import nn

from scaling_ood.configuration import ConfigLoader
from scaling_ood.detectors import Given, Outputs, OutputsList, base, build_detector
from scaling_ood.downloads import BY_HAND, PAPER, SAMPLES
from scaling_ood.images import LAYOUTS, list_files, multi_label, quality
from scaling_ood.images.counts import expected_counts
from scaling_ood.images.quality import QualityMeasure
from scaling_ood.images.scenes import LAYOUTS as SCENE_LAYOUTS
from scaling_ood.images.scenes import label_map, label_map_names
from scaling_ood.models import ClassHead, ImageNetwork
from scaling_ood.parameters.segmentation import SceneDataSpec
from scaling_ood.structure import checked

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md"])
SET_LIBRARY = ROOT / "conf" / "base" / "parameters_data_sets.yml"

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


@cache
def settings_of(environment, params=""):
    strategy = {"parameters": "soft", "globals": "soft"}
    given = _split_params(None, None, params)
    loader = ConfigLoader(str(ROOT / "conf"), environment, given, base_env="base", merge_strategy=strategy)
    return checked(loader["parameters"])


@every_page
def test_commands_name_what_there_is(page):
    # Which of several processes one is, only a shell knows.
    text = re.sub(r"\$\(\(\w+\+1\)\)|\$\w+(?=/\d)", "3", page.read_text(encoding="utf-8"))
    for command in re.findall(r"kedro run((?: +--[\w-]+[ =][^\s`\]'\"]+)+)", text):
        if "<" in command or "my_benchmark" in command:
            continue
        given = dict(re.findall(r"--([\w-]+)[ =](\S+)", command))
        settings = settings_of(given.get("env", "miniature"), given.get("params", ""))
        parts = {name: {*found.spec.networks, *found.spec.methods} for name, found in settings.items()}
        named = [*given.get("namespaces", "").split(","), *given.get("to-outputs", "").split(",")]
        for setting, _, rest in (name.partition(".") for name in named if name):
            assert setting in parts, command
            assert rest.split(".")[0] in {*parts[setting], "", "margin"}, command


def test_the_data_page_names_every_set_and_layout():
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    library = yaml.safe_load(SET_LIBRARY.read_text(encoding="utf-8"))["data_sets"]
    photographs = {entry["folder"] for entry in library.values() if entry["source"] == "photographs"}
    noise = {name for name, entry in library.items() if entry["source"] == "noise"}
    assert all(f"`{name}`" in page for name in photographs | {source.name for source in SAMPLES})
    assert all(name in page for name in noise)
    assert all(f"| `{name}` |" in page for name in [*LAYOUTS, *multi_label.LAYOUTS])


DATA_PAGE = ROOT / "docs" / "data.md"
OWN_DATA, NEW_DETECTOR, NEW_PARTS = (
    ROOT / "docs" / name for name in ("own-data.md", "add-detector.md", "add-parts.md")
)


def row_under(heading, first):
    """Cells of the row of that name, in the first table under a heading of the data page."""
    section = DATA_PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n")[1].split("\n#")[0]
    row = next(line for line in section.splitlines() if line.startswith(f"| `{first}` |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def block_of(page, language, word):
    pattern = rf"^ *```{language}\n(.*?)^ *```"
    blocks = re.findall(pattern, page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if word in block)


def paper_rows():
    """Cells of the table of the paper's multi-class data, by the place of each set."""
    section = DATA_PAGE.read_text(encoding="utf-8").split("\n## The paper's multi-class data\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")
    ]
    header, *body = rows
    return {row[5].strip("`"): dict(zip(header, row, strict=True)) for row in body}


def test_the_table_of_the_papers_data_names_each_set_and_how_to_get_it():
    fetched = {source.name.split("/")[0] for source in PAPER}
    by_hand = {each.name for each in BY_HAND}
    rows = paper_rows()
    assert set(rows) == fetched | by_hand
    assert {place for place, row in rows.items() if row["how to get it"].startswith("fetched")} == fetched
    assert {place for place, row in rows.items() if row["how to get it"].startswith("by hand")} == by_hand
    assert all(row["licence or terms"] and row["size"] and row["what is checked"] for row in rows.values())


def test_the_table_of_the_papers_data_gives_the_sizes_that_are_checked():
    rows = {row["`layout`"].split(";")[0].strip("`"): row["size"] for row in paper_rows().values() if row["`layout`"]}
    assert set(rows) <= set(LAYOUTS)
    counts = expected_counts()
    counts = counts[counts["data_set"].isin(LAYOUTS)]
    assert set(counts["data_set"]) <= set(rows)
    species = counts[counts["data_set"] == "species"]
    sizes = {"species": set(species[["classes", "images"]].sum())}
    for name in set(counts["data_set"]) - {"species"}:
        mine = counts[counts["data_set"] == name]
        sizes[name] = {*mine["classes"].dropna(), *mine["images"].dropna()}
    for name, expected in sizes.items():
        assert {int(each.replace(",", "")) for each in re.findall(r"(?<!\w)\d[\d,]*\b", rows[name])} - {
            10
        } == expected - {10}


@pytest.mark.parametrize("data_set", [*multi_label.LAYOUTS, *SCENE_LAYOUTS])
def test_the_other_sizes_that_are_checked_stand_there_too(data_set):
    counts = expected_counts().query("data_set == @data_set")
    papers = counts[counts["release"].isin(counts["release"][:1])]  # the first is the paper's
    page = DATA_PAGE.read_text(encoding="utf-8")
    assert all(f"{images:,}" in page for images in papers["images"])


@pytest.mark.parametrize("layout", sorted(SCENE_LAYOUTS))
def test_the_data_page_names_every_layout_of_scenes_with_its_label_maps(layout):
    maps = re.findall(r"`(\w+)`", row_under("## Scenes", layout)[3])
    assert tuple(maps) == SCENE_LAYOUTS[layout].label_maps


@pytest.mark.parametrize("name", [name for name in label_map_names() if not name.endswith("_masked")])
def test_the_data_page_says_what_each_label_map_makes_of_its_ids(name):
    _, classes, anomaly, void = row_under("### Label maps", name)
    labels = label_map(name)
    assert int(re.match(r"\d+", classes)[0]) == len(labels.classes)
    for role, cell in (("anomaly", anomaly), ("void", void)):
        assert {int(each) for each in re.findall(r"\d+", cell)} == set(labels.ids(role))


def test_every_masked_label_map_is_named():
    page = DATA_PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in label_map_names())


BENCHMARKS = re.findall(
    r"^   ```yaml\n((?:(?!```).)*?^ *data:.*?)^ *```", OWN_DATA.read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("shown", BENCHMARKS, ids=lambda shown: re.search(r"in_dist: (\w+)", shown)[1])
def test_a_benchmark_that_the_guide_shows_is_valid(shown, tmp_path):
    shutil.copytree(ROOT / "conf" / "base", tmp_path / "base")
    (tmp_path / "my_benchmark").mkdir()
    (tmp_path / "my_benchmark" / "parameters.yml").write_text(textwrap.dedent(shown))
    strategy = {"parameters": "soft", "globals": "soft"}
    loader = ConfigLoader(str(tmp_path), "my_benchmark", base_env="base", merge_strategy=strategy)
    (setting,) = checked(loader["parameters"]).values()
    assert setting.spec.methods["max_logit"].network == setting.spec.shared


DETECTORS = [
    block
    for block in re.findall(r"^```python\n(.*?)^```", NEW_DETECTOR.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    if "@detector" in block
]


@pytest.mark.parametrize("shown", DETECTORS, ids=lambda shown: re.search(r"class (\w+)\(Detector", shown)[1])
def test_a_detector_that_the_guide_shows_scores_images(shown, monkeypatch):
    name = re.search(r"class (\w+)\(Detector", shown)[1].lower()
    module = ModuleType(f"scaling_ood.detectors.{name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))
    exec(shown, vars(module))
    layer = {"layer": "backbone.0"} if name == "loud" else {}
    made = build_detector(name, **layer)
    backbone = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = ImageNetwork(backbone, ClassHead(5, 4)).eval()
    inputs = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        encoded = network.encode(inputs)
        given = Given(network, inputs, encoded, network.decode(encoded))
    fields = {need if isinstance(need, str) else need.name: _of(need, given) for need in made.needs}
    chunk = Outputs(**fields)
    score = made.fit(OutputsList([chunk])).score(chunk)
    assert score.shape == (6,)
    assert score.isfinite().all()
    assert len(score.unique()) == len(score)


def _of(need, given):
    return given.outputs[need] if isinstance(need, str) else need.make(given)


def test_the_layout_that_the_guide_shows_reads_its_folders(tmp_path, monkeypatch):
    monkeypatch.setitem(LAYOUTS, "class_years", None)  # gone again after the test
    exec(block_of(NEW_PARTS, "python", "class_years"), {})
    for name in ("owl_2019", "owl_2020", "rook_2019"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.jpg")
    found = [(entry.class_name, entry.split) for entry in list_files("class_years", tmp_path, ["2019"])]
    assert found == [("owl", "2019"), ("rook", "2019")]


def test_the_source_of_networks_that_the_guide_shows_makes_features():
    namespace = {}
    exec(block_of(NEW_PARTS, "python", "SOURCE = "), namespace)
    made = namespace["SOURCE"].architecture("ours:tiny")
    assert made.build(False)[0](torch.zeros(2, 3, 64, 64)).shape == (2, made.features)


def test_folders_of_ones_own_are_read_as_the_guide_shows(tmp_path):
    ids = {"day": {"a": [1, 2]}, "dusk": {"b": [0, 1], "c": [3, 9]}}
    for split, scenes in ids.items():
        for name, values in scenes.items():
            for folder, file in (("photos", f"{name}.jpg"), ("masks", f"{name}_ids.png")):
                (tmp_path / folder / split / "town").mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.array([values], np.uint8)).save(tmp_path / folder / split / "town" / file)
    code = block_of(OWN_DATA, "python", "paired_folders").replace('"DIR"', f"r'{tmp_path}'")
    namespace = {}
    exec(code, namespace)
    roles = namespace["manifest"].set_index("id")["image_set"].to_dict()
    assert roles == {"mine/day/town/a": "train", "mine/dusk/town/b": "validation", "mine/dusk/town/c": "test"}
    assert namespace["set_apart"].empty


def test_a_scraped_data_set_is_curated_as_the_data_page_shows(tmp_path, monkeypatch):
    for number, grey in enumerate((10, 200, 90)):
        (tmp_path / "Fungi" / "Amanita").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (grey,) * 3).save(tmp_path / "Fungi" / "Amanita" / f"{number}.png")
    (tmp_path / "flags.csv").write_text("image,reason\nFungi/Amanita/2.png,a drawing\n")
    brightness = QualityMeasure("brisque", "higher", lambda image: float(np.asarray(image).mean()))
    monkeypatch.setitem(quality.QUALITY_MEASURES, "brisque", brightness)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(block_of(DATA_PAGE, "python", "read_flags").replace('"DIR"', f"r'{tmp_path}'"), namespace)
    assert namespace["kept"]["path"].tolist() == ["Fungi/Amanita/0.png"]
    assert namespace["report"]["reason"].tolist() == [
        "brisque 200.0, higher than 60",
        "brisque 90.0, higher than 60 and flagged: a drawing",
    ]


def test_the_scenes_of_ones_own_that_the_guide_shows_are_valid():
    shown = SceneDataSpec(**yaml.safe_load(block_of(OWN_DATA, "yaml", "paired_folders"))["data"])
    assert shown.labels().classes == ("road", "sidewalk", "building")
    assert shown.scene_source("DIR").pairings[0].label_suffix == "_gtFine_labelTrainIds"


def test_pictures_are_small_and_shown():
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert all(picture.stat().st_size <= 300_000 for picture in pictures)
    assert all(any(f"images/{picture.name}" in page.read_text("utf-8") for page in PAGES) for picture in pictures)
