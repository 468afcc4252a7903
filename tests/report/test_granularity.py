import numpy as np
import pandas as pd
import pytest
from report.fabricated import granularity

from scaling_ood.report import Granularity, granularity_figure, mass_figure
from scaling_ood.report.granularity import comparison
from scaling_ood.report.tables import DASH


def test_fine_and_coarse_stand_side_by_side_and_a_gap_is_a_dash():
    shown = comparison(granularity())
    assert shown.ood_sets == ("unseen_families", "rademacher")
    assert shown.rows["msp"][:4] == ("57.8", "45.0", "62.2", "75.0")
    assert shown.rows["grouped_msp"][2:4] == ("74.4", DASH)
    assert {len(cells) for cells in shown.rows.values()} == {12}


def test_the_figure_has_a_point_per_detector_set_and_kind_of_labels():
    figure = granularity_figure(granularity())
    assert [trace.name for trace in figure.data] == ["fine labels", "coarse labels"] * 2
    assert figure.data[0].x == (0.622, 0.744, 0.679, 0.641)
    assert np.isnan(figure.data[1].x[1])
    assert sum(trace.showlegend for trace in figure.data) == 2


def test_dispersal_is_shown_for_each_image_set():
    fine, coarse = mass_figure(granularity()).data
    assert fine.x == ("in-distribution", "unseen_families", "rademacher")
    assert (fine.y, coarse.y) == ((0.19, 0.22, 0.11), (0.03, 0.06, 0.04))


def test_tables_that_cannot_be_compared_are_refused():
    whole = granularity()
    with pytest.raises(ValueError, match=r"lacks the columns \['auroc'\]"):
        Granularity(whole.metrics.drop(columns="auroc"), whole.dispersal)
    with pytest.raises(ValueError, match=r"got \['medium'\]"):
        Granularity(whole.metrics, pd.DataFrame([{"labels": "medium", "image_set": "test", "dispersal": 0.1}]))
