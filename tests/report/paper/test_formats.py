"""All four formats say the same, and what they say is the comparison."""

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest
from report.pages import Page
from report.paper.fabricated import comparison, results

from scaling_ood.report import csv_text, latex_text, markdown_text, table_text
from scaling_ood.report.paper import (
    QUANTITIES,
    TABLES,
    compare,
    paper_table,
    paper_tables,
    published_numbers,
    render_page,
    typed,
)

WHOLE = ("all", None)
PARTIAL = ("some", ("places365", "species_tresnet_m", "voc", "streethazards", "lost_and_found"))
NOTHING = ("none", ())


@pytest.fixture(scope="module", params=[WHOLE, PARTIAL, NOTHING], ids=lambda param: param[0])
def frame(request):
    return comparison() if request.param[1] is None else comparison(request.param[1])


@pytest.fixture(params=TABLES)
def table(request, frame):
    return paper_table(request.param, frame)


def as_number(text):
    """A written value; none for a dash."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace("{,}", "").replace(",", "")
    return float(plain) if re.fullmatch(r"[+-]?\d+(\.\d+)?", plain) else None


def of_csv(table):
    """Lines as (headings, numbers)."""
    stubs = len(table.stubs)
    _, *rows = csv.reader(io.StringIO(csv_text(table)))
    return [(tuple(row[:stubs]), [as_number(cell) for cell in row[stubs:]]) for row in rows]


def filled(rows):
    """Headings that a format writes once, on every line."""
    above = ()
    for headings, numbers in rows:
        full = tuple(own or (above[place] if place < len(above) else "") for place, own in enumerate(headings))
        above = full
        yield full, numbers


def of_markdown(table):
    stubs = len(table.stubs)
    lines = [line for line in markdown_text([table]).splitlines() if line.startswith("| ")][2:]
    rows = [[unraised(cell.strip()).replace("\\", "") for cell in line.strip("|").split(" | ")] for line in lines]
    return list(filled((tuple(row[:stubs]), [as_number(cell) for cell in row[stubs:]]) for row in rows))


def unraised(text):
    return re.sub(r"<sup>.*?</sup>", "", text)


def of_latex(table):
    stubs = len(table.stubs)
    body = latex_text([table]).split("\\bottomrule")[0]
    rules = body.split("\\midrule\n", 1)[1].replace("\\midrule\n", "")
    rows = []
    for line in filter(None, rules.splitlines()):
        cells = re.sub(r"\\textsuperscript\{.*?\}", "", line.removesuffix(r" \\")).split(" & ")
        rows.append([plain_latex(cell.strip()) for cell in cells])
    return list(filled((tuple(row[:stubs]), [as_number(cell) for cell in row[stubs:]]) for row in rows))


def plain_latex(text):
    for written, meant in ((r"$\downarrow$", "↓"), (r"$\uparrow$", "↑"), (r"$\Delta$", "Δ"), ("$", ""), ("\\", "")):
        text = text.replace(written, meant)
    return text


def of_html(table):
    """Lines of the table's body; a heading with a rowspan is repeated."""
    page = render_page([table], comparison(()))
    body = re.search(r"<table class=\"paper-table\">(.*?)</table>", page, re.DOTALL)[1]
    lines, waiting = [], {}
    for row in re.findall(r"<tr class=\"(?!banner)[^\"]*\">(.*?)</tr>", body.split("</thead>")[1], re.DOTALL):
        cells = re.findall(r"<(th|td)([^>]*)>(.*?)</\1>", row, re.DOTALL)
        own = [
            (plain_html(text), int((re.search(r'rowspan="(\d+)"', attrs) or [0, 1])[1]))
            for tag, attrs, text in cells
            if tag == "th"
        ]
        headings = []
        for place in range(len(table.stubs)):
            text, left = waiting.get(place, ("", 0))
            if left == 0:
                text, left = own.pop(0)
            waiting[place] = (text, left - 1)
            headings.append(text)
        lines.append((tuple(headings), [as_number(plain_html(text)) for tag, _, text in cells if tag == "td"]))
    return lines


def plain_html(text):
    return re.sub(r"<[^>]*>", "", re.sub(r"<sup>.*?</sup>", "", text)).strip()


def test_csv_holds_every_number_of_the_comparison(table, frame):
    records = typed(frame)
    records = records[records["table"] == table.name]
    written = [value for _, numbers in of_csv(table) for value in numbers if value is not None]
    expected = []
    counted = records.drop_duplicates(["in_dist", "model", "row", "column", "ood_set", "detector", "metric"])
    expected += [row["published"] for _, row in counted.iterrows()]
    for _, row in records.iterrows():
        digits = max(1, row["decimals"]) if QUANTITIES[row["metric"]].is_share else 0
        expected += [round(row["ours"], digits), round(row["difference"], digits)]
    assert sorted(written) == pytest.approx(sorted(pd.Series(expected, dtype=float).dropna()))


def test_ours_minus_the_papers_is_the_difference_as_it_is_written(table):
    rows = dict(of_csv(table))
    for headings, numbers in rows.items():
        # Lines that have nothing of ours are left out where nothing of the block was measured.
        if headings[-1] == "paper" and (*headings[:-1], "ours") in rows:
            ours, difference = rows[(*headings[:-1], "ours")], rows[(*headings[:-1], "Δ")]
            for printed, own, between in zip(numbers, ours, difference, strict=True):
                assert between is None or own - printed == pytest.approx(between, abs=0.051)


@pytest.mark.parametrize("read", [of_markdown, of_latex, of_html], ids=["markdown", "latex", "html"])
def test_every_format_says_what_csv_says(table, read):
    assert read(table) == of_csv(table)


def test_headings_of_columns_are_the_papers():
    header = next(csv.reader(io.StringIO(csv_text(paper_table("1", comparison(()))))))
    assert header[:4] == ["in-distribution", "value", "FPR95 ↓ / MSP", "FPR95 ↓ / DeVries"]
    header = next(csv.reader(io.StringIO(csv_text(paper_table("6", comparison(()))))))
    assert header[2:5] == ["MSP / paper", "MSP / ours, mean over images", "MSP / Δ"]


def test_spans_of_headings_cover_all_columns(table):
    for level in table.header:
        assert sum(heading.span for heading in level) == table.columns
    assert {len(line.cells) for line in table.lines} == {table.columns}


def test_a_value_is_in_its_row_and_column():
    rows = dict(of_csv(paper_table("5", comparison())))
    header = next(csv.reader(io.StringIO(csv_text(paper_table("5", comparison())))))
    place = header.index("AUPR ↑ / K") - 3
    assert rows["ImageNet", "Textures", "paper"][place] == 48
    assert rows["ImageNet", "Textures", "ours"][place] == pytest.approx(48.3)
    assert rows["Places365", "Places69", "paper"][header.index("FPR95 ↓ / M") - 3] == 89


def test_every_gap_stands_under_its_table_with_the_command(table, frame):
    records = typed(frame)
    records = records[(records["table"] == table.name) & (records["gap"] != "")]
    markdown, page = markdown_text([table]).replace("\\", ""), Page(render_page([table], comparison(())))
    latex = latex_text([table]).replace("-{}-", "--").replace("\\_", "_")
    for reason, command in set(zip(records["gap"], records["command"], strict=True)):
        assert f"{reason}: `{command}`" in markdown
        assert f"{reason}: \\texttt{{{command}}}" in latex
        assert f"{reason}: {command}" in " ".join(page.text.split())


def test_every_footnote_and_source_stands_under_its_table(table):
    markdown, page = (
        markdown_text([table]).replace("\\", ""),
        " ".join(Page(render_page([table], comparison(()))).text.split()),
    )
    for text in (*table.footnotes.values(), *(meaning for _, meaning in table.notes)):
        assert text.replace("`", "") in page
        assert text in markdown


def test_a_source_says_network_counts_base_rate_and_positive_class():
    frame = comparison()
    assert paper_table("3", frame).notes[0][1] == (
        "voc (a_network): per OOD set 4,000 in-distribution and 1,000 OOD images; base rate 20.0 %, "
        "positive class in-distribution"
    )
    assert [source.split(":")[0] for _, source in paper_table("6", frame).notes[:2]] == [
        "lost_and_found (a_network, per_image)",
        "lost_and_found (a_network, pooled)",
    ]


def test_a_source_says_over_which_sets_a_mean_is_where_the_paper_does_not():
    mean = results(("cifar10",)).assign(mean_of="svhn;lsun", base_rate=np.nan)
    ((_, source),) = paper_table("text", compare(mean)).notes
    assert source.endswith("1,000 OOD images; base rate ?, positive class OOD; mean over svhn, lsun")


def test_latex_is_balanced_and_leaves_no_special_character_bare(table):
    text = latex_text([table])
    assert text.count("{") == text.count("}")
    assert text.count("$") % 2 == 0
    assert len(re.findall(r"\\begin\{(.*?)\}", text)) == len(re.findall(r"\\end\{(.*?)\}", text))
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%_#]", body.replace("{%", "{"))
    assert text.isascii()
    columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1])
    for line in text.splitlines():
        if line.endswith(r" \\"):
            cells = re.sub(r"\\&", "", line).split(" & ")
            spans = [int(span) for cell in cells for span in re.findall(r"\\multicolumn\{(\d+)\}", cell)]
            assert len(cells) - len(spans) + sum(spans) == columns


def test_the_page_loads_nothing_and_its_links_lead_somewhere(frame):
    page = Page(render_page(paper_tables(frame), frame))
    assert not page.of("script") + page.of("img") + page.of("link")
    assert not re.search(r"@import|url\(", page.html)
    (policy,) = [attributes for attributes in page.of("meta") if "http-equiv" in attributes]
    assert policy["content"].startswith("default-src 'none'")
    targets = [attributes["href"] for attributes in page.of("a")]
    assert all(target.startswith("#") for target in targets)
    assert {target.removeprefix("#") for target in targets} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_the_page_says_how_far_each_benchmark_is():
    frame = comparison(PARTIAL[1])
    page = Page(render_page(paper_tables(frame), frame))
    cells = [text for _, text in page.row("imagenet_1k")]
    assert cells == ["multi_class", "Table 1, Table 5, text", "0 of 98", "kedro run --env imagenet_1k"]
    assert [text for _, text in page.row("places365")][2:] == ["84 of 84", "complete"]


def test_a_block_without_any_number_of_ours_shows_the_papers_alone_and_says_why():
    imagenet, places = paper_table("1", comparison(PARTIAL[1])).blocks
    assert [line.stubs[-1].text for line in imagenet.lines] == ["paper"]
    assert [gap.command for gap in imagenet.gaps] == ["kedro run --env imagenet_1k"]
    assert [line.stubs[-1].text for line in places.lines] == ["paper", "ours", "Δ"]
    assert not places.gaps


def test_a_terminal_shows_every_line_in_blocks_that_fit():
    lines = table_text(paper_table("3", comparison())).splitlines()
    assert max(map(len, lines)) <= 100
    printed = [
        number.value for number in published_numbers("3") if number.in_dist == "COCO" and number.metric == "auroc"
    ]
    shown = [line.split() for line in lines if line.startswith("COCO") and "AUROC" in line and " paper " in line]
    assert [value for parts in shown for value in parts[4:]] == printed


def test_tones_say_which_way_a_difference_goes():
    table = paper_table("1", comparison())
    tones = {}
    for block in table.blocks:
        for cell, heading in zip(
            block.lines[2].cells, [h for h in table.header[0] for _ in range(h.span)], strict=True
        ):
            tone = cell.look.removeprefix("difference ")
            tones.setdefault(heading.text, set()).add((tone, cell.value > 0 if tone != "agrees" else None))
    assert tones["FPR95 ↓"] <= {("worse", True), ("better", False), ("agrees", None)}
    assert tones["AUROC ↑"] <= {("better", True), ("worse", False), ("agrees", None)}


def test_nothing_in_a_comparison_can_end_the_page():
    frame = comparison()
    frame["architecture"] = "<script>alert(1)</script>"
    page = render_page([paper_table("1", frame)], frame)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("wrong", ["0", "8", "texts"])
def test_an_unknown_table_is_refused(wrong):
    with pytest.raises(ValueError, match=f"unknown table '{wrong}'"):
        paper_table(wrong, comparison(()))


def test_a_comparison_without_the_table_is_refused():
    frame = comparison(())
    with pytest.raises(ValueError, match="nothing of table 3"):
        paper_table("3", frame[frame["table"] != "3"])
