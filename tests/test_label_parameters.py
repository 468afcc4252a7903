"""What a person is told about wrong parameters of the multi-label setting: where, what, and what would be right."""

import copy

import click
import pytest
from label_toys import DETECTORS

from miniatures.composite import CompositeSpec
from scaling_ood.images.multi_label import MultiLabelSource
from scaling_ood.parameters.multi_label import (
    CompositeFabricationSpec,
    LabelDataSpec,
    LabelExtractionSpec,
    LabelledSetSpec,
    MultiLabelModelSpec,
    MultiLabelSpec,
)
from scaling_ood.structure import checked

WILD = {"source": "photographs", "layout": "class_folders", "folder": "unseen"}
MODEL = {"architecture": "efficientnet_lite0", "training": "head"}


def parameters():
    """Valid parameters with every kind of part."""
    return {
        "multi_label": {
            "identity": {"setting": "multi_label", "benchmark": "toy"},
            "data_sets": {
                "wild": dict(WILD),
                "raccoon": dict(WILD) | {"folder": "raccoon"},
                "unseen_kinds": {"source": "fabricated", "layout": "class_folders", "folder": "ood"},
                "static": {"source": "noise", "recipe": "gaussian"},
            },
            "data": {
                "in_dist": "coco",
                "labelled": {"layout": "coco", "folder": "coco_2017"},
                "ood": ["wild", "static"],
                "train": {"split": "train"},
                "fit": {"split": "val", "share": 0.5},
                "test": {"split": "val"},
            },
            "fabrication": {"size_px": 32},
            "model": dict(MODEL),
            "extraction": {},
            "detectors": copy.deepcopy(DETECTORS),
            "reporting": {"positive_class": "both"},
        }
    }


def problems(**changes):
    """Lines that a person reads, after changing places such as `data__fit__share` below the setting."""
    given = parameters()
    for path, value in changes.items():
        *above, last = path.split("__")
        place = given["multi_label"]
        for step in above:
            place = place[step]
        place[last] = value
    with pytest.raises(click.ClickException) as caught:
        checked(given)
    head, *listed = caught.value.message.splitlines()
    assert head == "The parameters are not valid; nothing was run."
    return [line.removeprefix("- multi_label") for line in listed]


def test_fit_images_that_judge_the_network_are_no_training_images():
    (told,) = problems(data__fit={"split": "train", "share": 0.1})
    assert told.startswith(": data.fit cannot be of the split train, which training takes wholly")
    given = parameters()
    given["multi_label"]["data"] |= {"train": {"split": "train", "share": 0.9}, "fit": {"split": "train"}}
    assert checked(given)["multi_label"].data.fit.split == "train"


def test_valid_parameters_are_those_of_the_setting():
    spec = checked(parameters())["multi_label"]
    assert isinstance(spec, MultiLabelSpec)
    assert spec.model.labels == ("fine",)
    assert list(spec.detectors) == list(DETECTORS)


def test_the_defaults_are_the_papers():
    spec = MultiLabelModelSpec.model_validate(MODEL)
    assert (spec.width, spec.epochs, spec.learning_rate, spec.backbone_learning_rate) == (1000, 50, 1e-4, 1e-5)
    assert LabelledSetSpec(layout="voc", folder="x").hard_objects == "counted"


def test_photographs_are_those_that_the_benchmark_reads():
    assert checked(parameters())["multi_label"].photographs() == {"coco": "coco_2017", "wild": "unseen"}
    given = parameters()
    given["multi_label"]["data"] |= {"labelled": {"source": "fabricated", "layout": "coco", "folder": "in_dist"}}
    given["multi_label"]["data"] |= {"ood": ["unseen_kinds", "raccoon"]}
    assert checked(given)["multi_label"].photographs() == {"raccoon": "raccoon"}


def test_a_labelled_set_hands_all_its_options_to_the_reader():
    options = {"layout": "voc", "year": 2012, "hard_objects": "ignored", "unlabelled": ("test",)}
    spec = LabelledSetSpec.model_validate({"folder": "voc", **options})
    expected = MultiLabelSource(name="voc_2012", folder="/data/voc", splits=["train", "val"], **options)
    assert spec.labelled_source("voc_2012", "/data/voc", ["train", "val"]) == expected


def test_what_the_fabrication_does_not_name_keeps_its_default():
    assert CompositeFabricationSpec().request() == CompositeSpec()
    assert CompositeFabricationSpec.model_validate({"seed": 4}).request() == CompositeSpec(seed=4)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("data__ood", [], "must have at least 1 item, not 0"),
        ("data__seed", -1, "must be greater than or equal to 0 (given: -1)"),
        ("data__most_unreadable", 1.5, "must be less than or equal to 1 (given: 1.5)"),
        ("data__fit__share", 0, "must be greater than 0 (given: 0)"),
        ("data__train", None, "must be a mapping (a bare key was given)"),
        ("data__labelled__source", "noise", "must be 'photographs' or 'fabricated' (given: 'noise')"),
        ("data__labelled__hard_objects", "kept", "must be 'counted' or 'ignored' (given: 'kept')"),
        ("model__training", "none", "must be 'head' or 'network' (given: 'none')"),
        ("model__input_px", 8, "must be greater than or equal to 16 (given: 8)"),
        ("model__width", 0, "must be greater than or equal to 1 (given: 0)"),
        ("model__dropout", 1.0, "must be less than 1 (given: 1.0)"),
        ("model__dropout", -0.1, "must be greater than or equal to 0 (given: -0.1)"),
        ("model__epochs", 0, "must be greater than or equal to 1 (given: 0)"),
        ("model__batch_images", 1, "must be greater than or equal to 2 (given: 1)"),
        ("model__learning_rate", 0, "must be greater than 0 (given: 0)"),
        ("model__backbone_learning_rate", 0, "must be greater than 0 (given: 0)"),
        ("model__averaging", "voc", "must be 'step', 'trapezoid' or 'voc_2007' (given: 'voc')"),
        ("model__precision", "fp16", "must be 'float32' or 'bf16' (given: 'fp16')"),
        ("model__least_map", 62, "must be less than or equal to 1 (given: 62)"),
        ("model__seeds", [1, 2, 1], "names one twice: 1, 2, 1"),
        ("extraction__precision", "fp16", "must be 'float32' or 'bf16' (given: 'fp16')"),
        ("extraction__shard_images", 0, "must be greater than or equal to 1 (given: 0)"),
        ("extraction__dropout_passes", 1, "must be greater than or equal to 2 (given: 1)"),
        ("extraction__dropout_seed", -1, "must be greater than or equal to 0 (given: -1)"),
        ("reporting__positive_class", "in", "must be 'ood', 'in_dist' or 'both' (given: 'in')"),
    ],
)
def test_a_value_out_of_range_is_told_with_place_value_and_range(path, value, message):
    assert problems(**{path: value}) == [f".{path.replace('__', '.')}: {message}"]


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("fabricaton", "fabrication"),
        ("data__labeled", "labelled"),
        ("data__labelled__years", "year"),
        ("data__fit__shares", "share"),
        ("model__dropouts", "dropout"),
        ("model__backbone_learning_rat", "backbone_learning_rate"),
        ("extraction__dropout_pass", "dropout_passes"),
    ],
)
def test_a_misspelt_parameter_is_named_with_its_place_and_the_nearest_one(path, nearest):
    (problem,) = problems(**{path: 1})
    assert problem.startswith(f".{path.replace('__', '.')}: no such parameter; did you mean '{nearest}'? (known: ")


def test_a_misspelt_parameter_of_the_fabrication_is_named_with_the_nearest_one():
    (problem,) = problems(fabrication__known_kind=12)
    assert problem.startswith(".fabrication: no such parameter: known_kind; did you mean 'known_kinds'? (known: ")


def test_values_out_of_range_of_the_fabrication_are_named_with_their_ranges():
    told = "\n".join(problems(fabrication={"size_px": 4, "val_images": 0}))
    assert "size_px=4, allowed: an integer from 32 to 512" in told
    assert "val_images=0, allowed: an integer from 1 to 99999" in told


def test_an_unknown_layout_is_named_with_the_nearest_one():
    assert problems(data__labelled__layout="coko") == [
        ".data.labelled.layout: unknown layout 'coko'; did you mean 'coco'? (known: coco, table, voc)"
    ]


@pytest.mark.parametrize(
    ("labelled", "message"),
    [
        ({"layout": "table", "year": 2012}, "layout table takes no year (it takes: manifest, classes)"),
        ({"layout": "coco", "manifest": "x.csv"}, "layout coco takes no manifest (it takes: year, hard_objects)"),
    ],
)
def test_an_option_that_means_nothing_to_the_layout_is_told_before_anything_runs(labelled, message):
    assert problems(data__labelled={"folder": "x", **labelled}) == [f".data.labelled: {message}"]


def test_an_unknown_architecture_is_named_with_the_nearest_one():
    (problem,) = problems(model__architecture="resnet100")
    assert problem.startswith(".model.architecture: unknown architecture 'resnet100'; did you mean 'resnet101'?")


def test_a_backbone_without_published_weights_is_refused():
    assert problems(model__architecture="small_resnet") == [
        ".model.architecture: 'small_resnet' has no published weights, and its batch norms are frozen: "
        "it cannot be trained"
    ]


@pytest.mark.parametrize("roles", [["train"], ["fit", "test"], ["train", "fit", "test"]])
def test_images_per_class_have_no_meaning(roles):
    (problem,) = problems(**{f"data__{role}": {"split": "val", "per_class": 2} for role in roles})
    assert problem == f".data: {', '.join(roles)}: per_class has no meaning where an image has several classes"


def test_an_ood_set_that_is_not_there_is_named_with_the_nearest_one():
    assert problems(data__ood=["racoon", "wild"]) == [
        ": data names a set that data_sets lacks: racoon; did you mean 'raccoon'? "
        "(known: wild, raccoon, unseen_kinds, static)"
    ]


@pytest.mark.parametrize(("ood", "in_dist"), [(["wild", "wild"], "coco"), (["wild"], "wild")])
def test_a_set_that_is_named_twice_is_told(ood, in_dist):
    assert problems(data__ood=ood, data__in_dist=in_dist) == [
        f": data names a set twice: in_dist {in_dist}, ood {', '.join(ood)}"
    ]


@pytest.mark.parametrize("name", ["train", "fit", "test", "mean", "mean_noise"])
def test_an_ood_set_cannot_take_a_name_that_the_tables_use(name):
    assert problems(**{f"data_sets__{name}": dict(WILD), "data__ood": [name]}) == [
        f": an OOD set cannot be called {name}: that names rows of its own in the tables"
    ]


def test_rendered_sets_need_the_fabrication():
    rendered = {"source": "fabricated", "layout": "coco", "folder": "in_dist"}
    assert problems(data__labelled=rendered, data__ood=["wild", "unseen_kinds"], fabrication=False) == [
        ": fabrication is switched off, but data names rendered sets: coco, unseen_kinds"
    ]


def test_detectors_are_checked_with_their_options():
    told = problems(
        detectors={"maxlogit": {}, "local_outlier_factor": {"neighbors": 3}, "isolation_forest": {"trees": 0}}
    )
    assert [line.split(": ", 1)[0] for line in told] == [".detectors"] * 3
    assert "unknown detector 'maxlogit'; did you mean 'max_logit'?" in told[0]
    assert "has no option 'neighbors'; did you mean 'neighbours'?" in told[1]
    assert told[2] == ".detectors: trees must be an integer of at least 1, not 0"


def test_all_problems_are_told_at_once():
    told = problems(model__least_map=2, model__averaging="mean", data__labelled__layout="pascal", extraction__shards=1)
    assert {line.split(":")[0] for line in told} == {
        ".model.least_map",
        ".model.averaging",
        ".data.labelled.layout",
        ".extraction.shards",
    }


def test_contradictions_are_told_in_a_line_each():
    told = problems(data__ood=["racoon", "racoon", "mean_x"])
    starts = ["that data_sets lacks: racoon", "that data_sets lacks: mean_x", "a set twice", "cannot be called mean_x"]
    assert len(told) == len(starts)
    assert all(start in line for start, line in zip(starts, told, strict=True))


@pytest.mark.parametrize(
    "spec",
    [
        LabelledSetSpec(layout="coco", folder="x"),
        LabelDataSpec.model_validate(parameters()["multi_label"]["data"]),
        MultiLabelModelSpec.model_validate(MODEL),
        LabelExtractionSpec(),
    ],
)
def test_nothing_changes_after_loading(spec):
    with pytest.raises(ValueError, match="frozen"):
        setattr(spec, next(iter(type(spec).model_fields)), "other")
