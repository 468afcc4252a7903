from scaling_ood.report.table import DASH, MINUS, Block, Cell, Heading, Line, Table, headings, opened


def line(*stubs):
    return Line(tuple(map(Heading, stubs)), (Cell(1.0),))


def test_a_heading_is_opened_once_and_knows_how_far_it_reaches():
    block = Block((line("a", "x"), line("a", "y"), line("b", "y"), line("b", "y")))
    spans = [[one and (one[0].text, one[1]) for one in begun] for _, begun in opened(block)]
    assert spans == [[("a", 2), ("x", 1)], [None, ("y", 1)], [("b", 2), ("y", 2)], [None, None]]


def test_groups_of_columns_begin_under_the_outermost_headings():
    header = headings([("a", "x"), ("a", "y"), ("b", "x")], lambda path: Heading(path[-1], look="-".join(path)))
    table = Table("t", "T", "", ("row",), header, ())
    assert (table.columns, table.edges) == (3, (0, 2))
    assert [[one.look for one in levels] for levels in table.column_headings] == [
        ["a", "a-x"],
        ["a", "a-y"],
        ["b", "b-x"],
    ]
    assert Table("t", "T", "", ("row",), headings([("x",), ("y",)]), ()).edges == ()


def test_what_rounds_to_nothing_has_no_minus():
    assert Cell(-0.04, signed=True).text == "+0.0"
    assert Cell(-0.04).text == "0.0"
    assert Cell(-0.05001, signed=True).text == f"{MINUS}0.1"


def test_a_cell_without_a_number_has_nothing_to_write():
    empty = Cell(gap="one class missing")
    assert (empty.text, empty.spread, empty.bounds, empty.reach) == (DASH, "", (), None)
