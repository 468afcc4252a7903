"""Every footnote is about a number that exists, and stands where its reader looks."""

import pytest
from report.paper.fabricated import comparison

from scaling_ood.report.paper import TABLES, paper_table, published_numbers
from scaling_ood.report.paper.published import SCOPE, footnotes


@pytest.fixture(scope="module")
def tables():
    frame = comparison()
    return {number: paper_table(number, frame) for number in TABLES}


def note(start):
    (found,) = [one for one in footnotes() if one.text.startswith(start)]
    return found


def mark_of(table, start):
    (mark,) = [mark for mark, text in table.footnotes.items() if text.startswith(start)]
    return mark


def headings(table, axis):
    found = [one for level in table.header for one in level] if axis == "columns" else []
    return found or [label for line in table.lines for label in line.stubs]


@pytest.mark.parametrize("one", footnotes(), ids=lambda one: f"{'+'.join(one.tables)}-{one.text[:30]}")
def test_it_is_about_numbers_that_exist_in_each_of_its_tables(one):
    for table in one.tables:
        numbers = [{part: getattr(n, part) for part in SCOPE} for n in published_numbers(table)]
        assert any(one.is_about(number) for number in numbers)
        for part, values in one.scope.items():
            assert set(values) & {number[part] for number in numbers}


def test_each_is_marked_in_its_tables_and_explained_there(tables):
    for number, table in tables.items():
        explained = list(table.footnotes.values())
        assert sorted(explained) == sorted({one.text for one in footnotes() if number in one.tables})
        used = set(table.marks)
        used |= {mark for level in table.header for one in level for mark in one.marks}
        used |= {mark for line in table.lines for part in (*line.stubs, *line.cells) for mark in part.marks}
        assert used == set(table.footnotes)


def test_marks_are_given_in_the_order_of_reading(tables):
    for table in tables.values():
        assert list(table.footnotes) == list("abcdefghijklmnopqrstuvwxyz"[: len(table.footnotes)])
    assert tables["5"].marks == ("a",)


def test_what_is_about_a_metric_stands_on_its_heading_and_on_no_number(tables):
    table = tables["1"]
    mark = mark_of(table, "Base rate unknown")
    assert [one.text for one in headings(table, "columns") if mark in one.marks] == ["AUPR ↑"]
    assert not any(mark in cell.marks for line in table.lines for cell in line.cells)


@pytest.mark.parametrize("number", ["1", "3", "5", "6", "text"])
def test_aupr_of_an_unknown_base_rate_says_so(tables, number):
    assert any(text.startswith("Base rate unknown") for text in tables[number].footnotes.values())


def test_the_missing_column_is_marked_on_its_own_heading(tables):
    table = tables["2"]
    mark = mark_of(table, "The values of this column are missing")
    assert [mark in one.marks for one in table.header[1]] == [False] * 5 + [True]


def test_swapped_values_are_marked_on_these_two_alone(tables):
    table = tables["6"]
    mark = mark_of(table, "These two values look swapped")
    marked = [(cell.look, cell.value) for line in table.lines for cell in line.cells if mark in cell.marks]
    assert marked == [("paper", 18.8), ("paper", 38.1)]


@pytest.mark.parametrize(
    ("number", "start", "values"),
    [
        ("1", "44.2 and 84.6 are the means", [44.2, 84.6, 38.2]),
        ("5", "Table 5's rows give", [41.3, 85.2, 37]),
        ("5", "MSP is better here by all three", [32, 79, 17]),
        ("5", "MSP is better here (88 against 89)", [89]),
        ("2", "MSP is better here (47.6 against 47.5)", [47.5]),
        ("1", "Appendix A calls the improvement", [85.8]),
        ("5", "Appendix A calls the improvement", [85.8]),
    ],
)
def test_a_disagreement_is_marked_on_the_printed_values(tables, number, start, values):
    mark = mark_of(tables[number], start)
    cells = [cell for line in tables[number].lines for cell in line.cells if mark in cell.marks]
    assert [cell.value for cell in cells] == values
    assert {cell.look for cell in cells} == {"paper"}


def test_footnotes_quote_the_printed_numbers():
    printed = {(n.table, n.row, n.detector, n.metric): n.value for n in published_numbers() if n.in_dist == "ImageNet"}
    mean = [printed["5", "Mean", "msp", metric] for metric in ("fpr95", "auroc", "aupr")]
    assert f"Table 5 itself prints {mean[0]}, {mean[1]} and {mean[2]}" in note("44.2 and 84.6").text
    first = [printed["1", "ImageNet", "msp", metric] for metric in ("fpr95", "auroc", "aupr")]
    assert f"Table 1 prints {first[0]}, {first[1]} and {first[2]}" in note("Table 5's rows give").text


def test_the_means_that_footnotes_state_are_those_of_the_rows():
    rows = [n for n in published_numbers("5") if n.in_dist == "ImageNet" and n.detector == "msp" and len(n.sets) == 1]
    by_metric = {m: [(n.row, float(n.value)) for n in rows if n.metric == m] for m in ("fpr95", "auroc", "aupr")}
    whole = [f"{sum(v for _, v in values) / 6:.1f}" for values in by_metric.values()]
    assert "rows give {}, {} and {}".format(*whole) in note("Table 5's rows give").text
    without = [f"{sum(v for name, v in values if name != 'Blobs') / 5:.1f}" for values in by_metric.values()]
    assert without == ["44.2", "84.6", "39.0"]
    assert "for AUPR these rows give 39.0" in note("44.2 and 84.6").text
