import numpy as np
import pandas as pd
import pytest
from report.fabricated import OOD_SETS, results, scores
from sklearn.metrics import auc

from scaling_ood.metrics import NonFiniteScoreError
from scaling_ood.report import histogram_figure, roc_figure
from scaling_ood.report.densities import score_densities


@pytest.fixture(scope="module")
def frames():
    return scores()


@pytest.mark.parametrize("positive_class", ["ood", "in_dist"])
def test_each_detector_has_a_curve_per_set_with_the_auroc_of_the_table(frames, positive_class):
    figure = roc_figure(frames, list(OOD_SETS), positive_class=positive_class)
    table = results(frames, positive_class=positive_class).set_index(["detector", "ood_set"])
    assert len(figure.data) == len(frames) * len(OOD_SETS)
    for trace in figure.data:
        expected = table.loc[(trace.meta["detector"], trace.meta["ood_set"]), "auroc"]
        assert trace.meta["auroc"] == pytest.approx(expected, abs=1e-12)
        # The area under the thinned curve, whose corners are cut.
        assert auc(trace.x, trace.y) == pytest.approx(expected, abs=3e-3)
        assert f"{expected:.1%}" in trace.hovertemplate


def test_a_curve_with_few_corners_is_exact():
    frame = pd.DataFrame({"image_set": ["test"] * 4 + ["x"] * 3, "score": [1, 2, 3, 4, 2, 4, 5]})
    (trace,) = roc_figure({"msp": frame}, ["x"]).data
    assert auc(trace.x, trace.y) == pytest.approx(trace.meta["auroc"], abs=1e-6)


def test_the_legend_names_each_detector_once(frames):
    shown = [trace.name for trace in roc_figure(frames, list(OOD_SETS)).data if trace.showlegend]
    assert shown == list(frames)


def test_a_legend_of_several_lines_takes_no_room_of_the_panels():
    frame = pd.DataFrame({"image_set": ["test"] * 4 + ["x"] * 3, "score": [1, 2, 3, 4, 2, 4, 5]})
    few, many = (roc_figure({f"detector_{k}": frame for k in range(count)}, ["x"]).layout for count in (1, 20))
    assert many.margin.t > few.margin.t + 100
    assert many.height - many.margin.t == few.height - few.margin.t


def test_every_panel_marks_the_recall(frames):
    figure = roc_figure(frames, list(OOD_SETS))
    assert sum(shape.y0 == shape.y1 == 0.95 for shape in figure.layout.shapes) == len(OOD_SETS)


def test_the_positive_class_turns_the_curve(frames):
    (one,) = roc_figure({"msp": frames["msp"]}, ["blobs"]).data
    (other,) = roc_figure({"msp": frames["msp"]}, ["blobs"], positive_class="in_dist").data
    # At the recall 1 - f of in-distribution images, the share 1 - t of OOD images is taken for them.
    assert np.interp(0.3, one.x, one.y) == pytest.approx(1 - np.interp(0.7, other.y, other.x), abs=0.02)


def test_a_detector_without_scores_of_a_set_has_no_curve_there(frames):
    part = frames["msp"][frames["msp"]["image_set"] != "blobs"]
    figure = roc_figure({"msp": part, "energy": frames["energy"]}, ["blobs", "camvid"])
    assert [(trace.meta["detector"], trace.meta["ood_set"]) for trace in figure.data] == [
        ("msp", "camvid"),
        ("energy", "blobs"),
        ("energy", "camvid"),
    ]
    assert all(trace.showlegend for trace in figure.data[:2])


def test_more_detectors_than_colours_differ_in_their_dashes():
    frames = scores(detectors={f"detector_{number}": 1.0 for number in range(12)}, n_in=30)
    figure = roc_figure(frames, ["raccoons"])
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 12


def test_names_are_shown_as_they_are(frames):
    figure = roc_figure({"<b>&": frames["msp"].replace("blobs", "<i>x</i>")}, ["<i>x</i>"])
    assert figure.data[0].name == "&lt;b&gt;&amp;"
    assert figure.layout.annotations[0].text == "&lt;i&gt;x&lt;/i&gt;"


def test_what_cannot_be_drawn_is_refused(frames):
    with pytest.raises(ValueError, match="needs detectors and OOD sets"):
        roc_figure({}, ["blobs"])
    with pytest.raises(ValueError, match=r"'msp' lack the columns \['score'\]"):
        histogram_figure({"msp": frames["msp"][["image_set"]]}, ["blobs"])
    with pytest.raises(ValueError, match="'ood' or 'in_dist', got 'positive'"):
        roc_figure(frames, ["blobs"], positive_class="positive")
    with pytest.raises(NonFiniteScoreError):
        roc_figure({"msp": frames["msp"].assign(score=np.nan)}, ["blobs"])


def test_histograms_store_bins_and_not_scores(frames):
    figure = histogram_figure(frames, list(OOD_SETS), bins=20)
    assert len(figure.data) == 2 * len(frames) * len(OOD_SETS)
    assert {len(trace.x) for trace in figure.data} == {21}
    assert [trace.name for trace in figure.data if trace.showlegend] == ["in-distribution", "OOD"]
    one, other = figure.data[:2]
    assert (one.x == other.x).all()


def test_nine_sets_stay_readable_and_small():
    sets = {f"set_{number}": ("photographs", 1.0, 200) for number in range(9)}
    frames = scores(ood_sets=sets)
    figure = histogram_figure(frames, list(sets))
    assert figure.layout.meta["min_width"] > 1200
    assert len(figure.to_json()) < 300_000
    assert len(roc_figure(frames, list(sets)).data) == 9 * len(frames)


def test_a_few_extreme_scores_do_not_stretch_the_axis():
    rng = np.random.default_rng(0)
    in_dist = np.concatenate([rng.normal(size=500), [1e6] * 10, [np.inf, -np.inf]])
    shown = score_densities(in_dist, rng.normal(2, 1, 300))
    assert -8 < shown.edges[0] < shown.edges[-1] < 10
    assert shown.outside[0] == pytest.approx(12 / 512, abs=0.02)
    assert (shown.in_dist * np.diff(shown.edges)).sum() == pytest.approx(1 - shown.outside[0])


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-30, 1e20])
def test_constant_scores_have_an_axis(value):
    shown = score_densities(np.full(10, value), np.full(4, value))
    assert (np.diff(shown.edges) > 0).all()
    assert shown.outside == (0.0, 0.0)


def test_a_set_without_finite_scores_is_refused():
    with pytest.raises(ValueError, match="None of 2 scores is finite"):
        score_densities(np.array([np.inf, np.inf]), np.array([1.0]))
