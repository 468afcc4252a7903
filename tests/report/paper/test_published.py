"""The published numbers: complete, well-formed, and consistent as far as the paper is."""

import re
from collections import Counter

import pytest
from scaling_ood.records import METRICS

from scaling_ood.report.paper import QUANTITIES, TABLES, published_numbers

# Means that are not those of the printed rows, even if every row was rounded; footnotes say so.
NOT_THE_MEAN = {("5", "ImageNet", "msp", "auroc"), ("1", "ImageNet", "msp", "aupr")}


def half_digit(number):
    return 0.5 * 10**-number.decimals


def parts_of(number):
    """The printed numbers that a mean or a total is over; Table 1 is made from the rows of Table 5."""
    table = "5" if number.table == "1" else number.table
    same = ("in_dist", "detector", "metric", "positive_class") + (() if number.table == "1" else ("model", "column"))
    rows = {
        one.ood_set: one
        for one in published_numbers(table)
        if len(one.sets) == 1 and all(getattr(one, name) == getattr(number, name) for name in same)
    }
    return [rows[name] for name in number.sets]


SUMMARIES = [
    number for number in published_numbers() if len(number.sets) > 1 and number.value and number.table != "text"
]


def test_every_table_has_as_many_numbers_as_the_paper_prints():
    printed = Counter(number.table for number in published_numbers() if number.value)
    assert printed == {"1": 18, "2": 55, "3": 36, "4": 36, "5": 156, "6": 12, "7": 22, "text": 19}


def test_no_digit_has_been_changed_since_the_numbers_were_held_against_the_paper():
    sums = Counter()
    for number in published_numbers():
        sums[number.table] += float(number.value or 0)
    printed = {"1": 886.5, "2": 3169.3, "3": 2544.6, "4": 1543.3, "5": 8016.4, "6": 617.6, "7": 1431390}
    assert {table: round(sums[table], 2) for table in printed} == printed


@pytest.mark.parametrize("number", SUMMARIES, ids=lambda n: f"{n.table}-{n.in_dist}-{n.model}-{n.detector}-{n.metric}")
def test_a_mean_is_that_of_its_rows_within_their_rounding(number):
    parts = parts_of(number)
    values = [float(part.value) for part in parts]
    if number.metric in ("images", "classes"):
        assert sum(values) == float(number.value)
        return
    room = half_digit(number) + sum(map(half_digit, parts)) / len(parts)
    agrees = abs(sum(values) / len(values) - float(number.value)) <= room + 1e-9
    assert agrees == ((number.table, number.in_dist, number.detector, number.metric) not in NOT_THE_MEAN)


def test_table_1_is_table_5s_means_but_for_msp_on_imagenet():
    means = {(n.in_dist, n.detector, n.metric): n for n in published_numbers("5") if n.row == "Mean"}
    for number in published_numbers("1"):
        mean = means[number.in_dist, number.detector, number.metric]
        agrees = abs(float(number.value) - float(mean.value)) <= half_digit(number) + half_digit(mean) + 1e-9
        assert agrees == (number.sets == mean.sets) == ((number.in_dist, number.detector) != ("ImageNet", "msp"))


def test_max_logit_is_worse_than_msp_exactly_where_footnotes_say_so():
    worse = set()
    for table in ("2", "5"):
        pairs = {}
        for n in published_numbers(table):
            if n.value and n.detector in ("msp", "max_logit"):
                pairs.setdefault((n.in_dist, n.model, n.row, n.metric), {})[n.detector] = float(n.value)
        for key, pair in pairs.items():
            sign = -1 if key[-1] == "fpr95" else 1
            if len(pair) == 2 and sign * (pair["max_logit"] - pair["msp"]) < 0:
                worse.add((key[1], key[2], key[3]))
    blobs = {("ResNet-50", "Blobs", metric) for metric in ("fpr95", "auroc", "aupr")}
    assert worse == blobs | {("ResNet-50", "Places69", "fpr95"), ("ViT", "Mammals", "auroc")}


def test_what_the_text_at_hand_lacks_is_empty_and_nothing_else_is():
    missing = [number for number in published_numbers() if not number.value]
    assert len(missing) == 11
    assert {(n.table, n.model, n.detector) for n in missing} == {("2", "MLP Mixer", "max_logit")}


def test_only_table_3_has_in_distribution_as_the_positive_class():
    assert {n.table for n in published_numbers() if n.positive_class == "in_dist"} == {"3"}


def test_words_and_values_are_those_that_can_be():
    for number in published_numbers():
        assert number.table in TABLES
        share = QUANTITIES[number.metric].is_share
        assert re.fullmatch(r"(\d+(\.\d+)?)?" if share else r"\d+", number.value)
        assert not share or float(number.value or 0) <= 100
        of_detector = number.metric in METRICS
        assert bool(number.detector) == of_detector
        assert number.positive_class in (("ood", "in_dist") if of_detector else ("",))
        assert number.sets or not of_detector


def test_no_number_is_there_twice():
    keys = [{**vars(number), "value": "", "note": ""}.values() for number in published_numbers()]
    assert len({tuple(key) for key in keys}) == len(keys)


def test_an_unknown_table_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=re.escape("unknown table '8'")):
        published_numbers("8")
