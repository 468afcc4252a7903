"""What has not changed is not made again: no score, no metric, no table, no page."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.bench import Bench, bench, only, variant
from helpers.toys import TOYS

from scaling_ood.datasets import RecordedDataset, ReportDataset, TableDataset
from scaling_ood.products.plans import Plan

PRODUCTS = ("results", "metrics", "report")
Made = Callable[[Bench], Counter[str]]


def on_disk(own: Bench) -> Bench:
    """With tables and pages in files, as in the catalog of the project."""
    place = own.products / "reporting"
    for name in ("results", "metrics"):
        own.catalog[own.full(name)] = TableDataset(filepath=str(place / f"{name}.csv"))
    own.catalog[own.full("report")] = ReportDataset(filepath=str(place))
    return own


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """Runs a benchmark, and counts what was made of what is planned and made as a whole."""
    calls: Counter[str] = Counter()
    call = Plan.whole

    def count(self: Plan[Any]) -> Any:
        calls[self.origin.node] += 1
        return call(self)

    monkeypatch.setattr(Plan, "whole", count)

    def run(own: Bench) -> Counter[str]:
        calls.clear()
        own.run(*PRODUCTS)
        return Counter(calls)

    return run


@pytest.fixture(scope="module", params=list(TOYS))
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A benchmark with two detectors whose products are there. Not to be changed."""
    folder = tmp_path_factory.mktemp(request.param)
    return on_disk(bench(request.param, folder, detectors=only("energy", "msp"))).run(*PRODUCTS)


@pytest.fixture
def own(finished: Bench, tmp_path: Path) -> Bench:
    return on_disk(variant(finished, tmp_path))


def changed(of: Bench, folder: Path, **changes: Any) -> Bench:
    return on_disk(variant(of, folder / "changed", **changes))


def test_a_second_run_makes_nothing(own: Bench, made: Made) -> None:
    # Which images there are is always looked up.
    known = [path for path in own.products.rglob("*") if path.is_file() and "manifest" not in path.parent.name]
    files = {path: path.stat().st_mtime_ns for path in known}
    assert made(own) == {}
    assert {path: path.stat().st_mtime_ns for path in known} == files


def test_a_changed_option_of_a_detector_makes_its_scores_and_what_depends_on_them(
    own: Bench, made: Made, tmp_path: Path
) -> None:
    other = changed(own, tmp_path, detectors__energy={"temperature": 3.0})
    own_part = ("score_images", "measure_scores")
    assert made(other) == dict.fromkeys((*own_part, "collect_results", "collect_metrics", "draw_report"), 1)
    assert made(other) == {}


def test_a_parameter_that_is_only_shown_makes_what_shows_it(own: Bench, made: Made, tmp_path: Path) -> None:
    assert made(changed(own, tmp_path, reporting__caveats=["Beware."])) == {"draw_report": 1}


def test_a_threshold_is_checked_again_and_nothing_is_scored(own: Bench, made: Made, tmp_path: Path) -> None:
    other = changed(own, tmp_path, **{f"networks__{own.shared}__least_quality": 0.0001})
    assert made(other) == {"check_quality": 1, "draw_report": 1}


def test_other_devices_and_workers_make_nothing(own: Bench, made: Made, tmp_path: Path) -> None:
    assert made(changed(own, tmp_path, runtime__workers=1, runtime__batch_images=3)) == {}


@pytest.mark.parametrize(
    ("product", "node"), [("energy.scores", "score_images"), ("energy.measured", "measure_scores")]
)
@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_what_is_damaged_is_made_again_and_nothing_else(
    own: Bench, made: Made, product: str, node: str, damage: str
) -> None:
    dataset = own.catalog[own.full(product)]
    assert isinstance(dataset, RecordedDataset)
    (table, *_) = sorted((own.products / own.full(product)).glob("*.parquet"))
    before = pd.read_parquet(table)
    if damage == "lost":
        table.unlink()
    else:
        table.write_bytes(table.read_bytes()[:-9])
    assert made(own) == {node: 1}
    pd.testing.assert_frame_equal(pd.read_parquet(table), before)


@pytest.mark.parametrize("name", ["results.csv", "report.html"])
def test_a_table_or_page_that_somebody_has_written_into_is_made_again(own: Bench, made: Made, name: str) -> None:
    place = own.products / "reporting" / name
    whole = place.read_bytes()
    place.write_bytes(whole + b"a note")
    assert made(own) == {"collect_results" if name == "results.csv" else "draw_report": 1}
    assert place.read_bytes() == whole


def test_a_run_that_is_killed_while_it_writes_leaves_nothing_that_is_taken_for_whole(
    own: Bench, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = changed(own, tmp_path, detectors__energy={"temperature": 3.0})

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for kind, name in ((pd.DataFrame, "to_parquet"), (pd.DataFrame, "to_csv"), (ReportDataset, "_keep")):
        with monkeypatch.context() as broken:
            broken.setattr(kind, name, killed)
            with pytest.raises(KeyboardInterrupt):
                made(other)
    assert made(other)["draw_report"] == 1
    assert made(other) == {}
