import numpy as np
from report.fabricated import granularity

from scaling_ood.report import granularity_figure, granularity_table, mass_figure
from scaling_ood.report.table import DASH


def test_fine_and_coarse_stand_side_by_side_and_a_gap_is_a_dash():
    table = granularity_table(granularity()[0])
    assert [(one.text, one.span) for one in table.header[0]] == [("unseen_families", 6), ("rademacher", 6)]
    assert [(one.text, one.span) for one in table.header[1]] == [("FPR95↓", 2), ("AUROC↑", 2), ("AUPR↑", 2)] * 2
    assert [one.text for one in table.header[2]] == ["fine", "coarse"] * 6
    rows = {line.stubs[0].text: [cell.text for cell in line.cells] for line in table.lines}
    assert rows["msp"][:4] == ["57.8", "45.0", "62.2", "75.0"]
    assert rows["grouped_msp"][2:4] == ["74.4", DASH]
    assert {len(cells) for cells in rows.values()} == {12}


def test_the_figure_has_a_point_per_detector_set_and_kind_of_classes():
    figure = granularity_figure(granularity()[0])
    assert [trace.name for trace in figure.data] == ["fine classes", "coarse classes"] * 2
    assert figure.data[0].x == (0.622, 0.744, 0.679, 0.641)
    assert np.isnan(figure.data[1].x[1])
    assert sum(trace.showlegend for trace in figure.data) == 2


def test_dispersal_is_shown_for_each_image_set():
    fine, coarse = mass_figure(granularity()[1]).data
    assert fine.x == ("in-distribution", "unseen_families", "rademacher")
    assert (fine.y, coarse.y) == ((0.19, 0.22, 0.11), (0.03, 0.06, 0.04))
    assert fine.text == ("19.0", "22.0", "11.0")
