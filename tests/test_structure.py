"""What a person is told about wrong parameters: where, what, and what would be right; all of it at once."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from scaling_ood import structure
from scaling_ood.structure import checked, detectors_of

Parameters = dict[str, Any]


def parameters() -> Parameters:
    """Valid parameters with every kind of part."""
    return {
        "runtime": {"device": "cpu", "workers": 0},
        "multi_class": {
            "identity": {"setting": "multi_class", "benchmark": "toy"},
            "data_sets": {
                "squares": {"source": "photographs", "layout": "image_folder", "folder": "squares"},
                "rendered": {"source": "fabricated", "layout": "image_folder", "folder": "in_dist"},
                "static": {"source": "noise", "recipe": "gaussian"},
                "animals": {
                    "source": "photographs",
                    "layout": "tiny_imagenet",
                    "folder": "tiny",
                    "classes": {"table": "tiny_imagenet", "value": "animal"},
                },
            },
            "data": {
                "in_dist": "squares",
                "ood": ["static", "animals"],
                "train": {"split": "train"},
                "fit": {"split": "val", "per_class": 3},
                "test": {"split": "val"},
                "coarse_labels": "class_prefix",
            },
            "fabrication": {"families": 4, "ood_families": 2, "supercategories": 1},
            "model": {"architecture": "small_resnet", "training": "network", "labels": ["fine", "coarse"]},
            "networks": {},
            "extraction": {},
            "detectors": {"msp": {}, "energy": {"temperature": 2.0}, "max_logit": False},
            "reporting": {},
        },
    }


def change(path: str, value: Any) -> Callable[[Parameters], None]:
    def apply(given: Parameters) -> None:
        *above, last = path.split(".")
        for step in above:
            given = given[step]
        given[last] = value

    return apply


def remove(path: str) -> Callable[[Parameters], None]:
    def apply(given: Parameters) -> None:
        *above, last = path.split(".")
        for step in above:
            given = given[step]
        del given[last]

    return apply


def problems(*changes: Callable[[Parameters], None]) -> list[str]:
    given = copy.deepcopy(parameters())
    for apply in changes:
        apply(given)
    with pytest.raises(click.ClickException) as caught:
        checked(given)
    head, *listed = caught.value.message.splitlines()
    assert head == "The parameters are not valid; nothing was run."
    assert all(line.startswith("- ") for line in listed)
    return [line.removeprefix("- ") for line in listed]


def test_valid_parameters_give_the_settings_by_name() -> None:
    specs = checked(parameters())
    assert specs.keys() == {"multi_class"}
    assert specs["multi_class"].data.ood == ("static", "animals")


def test_a_detector_is_on_with_braces_or_options_and_off_with_false() -> None:
    assert detectors_of(checked(parameters())["multi_class"]) == ["msp", "energy"]


def test_detectors_keep_the_order_of_the_configuration() -> None:
    given = parameters()
    given["multi_class"]["detectors"] = {"max_logit": {}, "energy": {}, "msp": {}}
    assert detectors_of(checked(given)["multi_class"]) == ["max_logit", "energy", "msp"]


def test_settings_come_in_one_order_whatever_the_order_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    given = structure._without_session()
    backwards = dict(reversed(given.items()))
    assert list(checked(given)) == list(checked(backwards)) == list(structure.SETTINGS)


def test_false_drops_a_setting() -> None:
    given = parameters() | {"segmentation": False}
    assert checked(given).keys() == {"multi_class"}


def test_what_the_command_line_adds_is_no_unknown_parameter() -> None:
    given = parameters() | {"data_root": "photographs", "device": "cpu", "precision": "bf16"}
    assert checked(given).keys() == {"multi_class"}


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("multi_clas", "multi_class"),
        ("runtime.batch_image", "batch_images"),
        ("multi_class.extracton", "extraction"),
        ("multi_class.model.epoch", "epochs"),
        ("multi_class.data.seeds", "seed"),
        ("multi_class.data.fit.per_clas", "per_class"),
        ("multi_class.data.train.shares", "share"),
        ("multi_class.data_sets.squares.foldr", "folder"),
        ("multi_class.data_sets.rendered.layuot", "layout"),
        ("multi_class.data_sets.static.sgma", "sigma"),
        ("multi_class.data_sets.animals.classes.colum", "column"),
        ("multi_class.reporting.caveat", "caveats"),
        ("multi_class.identity.benchmarks", "benchmark"),
    ],
)
def test_a_misspelt_parameter_is_named_with_its_place_and_the_nearest_one(path: str, nearest: str) -> None:
    (problem,) = problems(change(path, 1))
    assert problem.startswith(f"{path}: no such parameter; did you mean '{nearest}'? (known: ")


def test_parameters_that_are_suggested_for_a_data_set_are_those_of_its_source() -> None:
    (problem,) = problems(change("multi_class.data_sets.static.folder", "x"))
    assert "layout" not in problem
    assert "recipe" in problem


def test_a_misspelt_parameter_of_the_fabrication_is_named_with_the_nearest_one() -> None:
    (problem,) = problems(change("multi_class.fabrication.familys", 3))
    assert problem.startswith("multi_class.fabrication: no such parameter: familys; did you mean 'families'?")


def test_a_value_out_of_range_of_the_fabrication_is_named_with_the_range() -> None:
    (problem,) = problems(change("multi_class.fabrication.size_px", 4))
    assert "size_px=4, allowed: an integer from 16 to 512" in problem


def test_an_unknown_detector_is_named_with_the_nearest_one() -> None:
    (problem,) = problems(change("multi_class.detectors.maxlogit", {}))
    assert problem.startswith("multi_class.detectors: unknown detector 'maxlogit'; did you mean 'max_logit'? (known: ")


def test_an_unknown_detector_is_named_even_if_it_is_switched_off() -> None:
    (problem,) = problems(change("multi_class.detectors.enrgy", False))
    assert "unknown detector 'enrgy'; did you mean 'energy'?" in problem


def test_a_misspelt_option_of_a_detector_is_named_with_the_nearest_one() -> None:
    (problem,) = problems(change("multi_class.detectors.energy", {"temprature": 2.0}))
    assert "detector 'energy' has no option 'temprature'; did you mean 'temperature'?" in problem


def test_an_option_out_of_range_is_told() -> None:
    (problem,) = problems(change("multi_class.detectors.energy", {"temperature": -1.0}))
    assert problem.startswith("multi_class.detectors: ")
    assert "-1" in problem


def test_a_bare_key_of_a_detector_says_how_to_switch_it_on_and_off() -> None:
    assert problems(change("multi_class.detectors.msp", None)) == [
        "multi_class.detectors.msp: must be {} (on, with the defaults), {option: value} or false (a bare key was given)"
    ]


@pytest.mark.parametrize("given", [True, "on", 1])
def test_another_value_of_a_detector_says_how_to_switch_it_on_and_off(given: object) -> None:
    (problem,) = problems(change("multi_class.detectors.msp", given))
    assert problem.endswith(f"must be {{}} (on, with the defaults), {{option: value}} or false (given: {given!r})")


@pytest.mark.parametrize(
    "path", ["multi_class", "runtime", "multi_class.model", "multi_class.detectors", "multi_class.data_sets.squares"]
)
def test_a_bare_key_where_a_mapping_belongs_is_told(path: str) -> None:
    assert problems(change(path, None)) == [f"{path}: must be a mapping (a bare key was given)"]


def test_a_bare_key_where_a_value_belongs_is_told() -> None:
    assert problems(change("multi_class.model.epochs", None)) == [
        "multi_class.model.epochs: must be a valid integer (a bare key was given)"
    ]


def test_switching_every_detector_off_is_an_error() -> None:
    assert problems(change("multi_class.detectors", {"msp": False})) == [
        "multi_class.detectors: every detector is switched off"
    ]


def test_switching_every_setting_off_is_an_error() -> None:
    assert problems(change("multi_class", False)) == [
        "no setting is switched on (there are: multi_class, multi_label, segmentation)"
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("runtime.workers", -1, "must be greater than or equal to 0 (given: -1)"),
        ("multi_class.model.epochs", "many", "must be a valid integer, unable to parse string as an integer"),
        ("multi_class.model.training", "heads", "must be 'none', 'head' or 'network' (given: 'heads')"),
        ("multi_class.model.label_smoothing", 1.0, "must be less than 1 (given: 1.0)"),
        ("multi_class.data.fit.share", 1.5, "must be less than or equal to 1 (given: 1.5)"),
        ("multi_class.data.ood", [], "must have at least 1 item, not 0"),
        ("multi_class.extraction.precision", "fp16", "must be 'float32' or 'bf16' (given: 'fp16')"),
        ("multi_class.data_sets.static.recipe", "snow", "must be 'gaussian', 'rademacher' or 'blobs' (given: 'snow')"),
    ],
)
def test_a_value_out_of_range_is_told_with_place_value_and_range(path: str, value: object, message: str) -> None:
    (problem,) = problems(change(path, value))
    assert problem.startswith(f"{path}: {message}")


def test_a_wrong_item_of_a_list_is_named_by_its_index() -> None:
    assert problems(change("multi_class.model.labels", ["fine", "coars"])) == [
        "multi_class.model.labels.1: must be 'fine' or 'coarse' (given: 'coars')"
    ]


def test_a_missing_parameter_is_named() -> None:
    assert problems(remove("multi_class.data.fit"), remove("multi_class.model.architecture")) == [
        "multi_class.data.fit: is missing",
        "multi_class.model.architecture: is missing",
    ]


@pytest.mark.parametrize(
    ("apply", "end"),
    [
        (change("multi_class.data_sets.squares.source", "photo"), "(given: 'photo')"),
        (remove("multi_class.data_sets.squares.source"), "(it is missing)"),
    ],
)
def test_a_data_set_without_a_known_source_names_the_sources(apply: Callable[[Parameters], None], end: str) -> None:
    assert problems(apply) == [
        f"multi_class.data_sets.squares: source must be one of 'photographs', 'fabricated', 'noise' {end}"
    ]


def test_an_unknown_layout_is_named_with_the_nearest_one() -> None:
    (problem,) = problems(change("multi_class.data_sets.squares.layout", "image_folders"))
    assert "unknown layout 'image_folders'; did you mean 'image_folder'?" in problem
    assert problem.count("image_folders") == 1


def test_an_unknown_architecture_is_named_with_the_nearest_one() -> None:
    (problem,) = problems(change("multi_class.model.architecture", "small_resnets"))
    assert "unknown architecture 'small_resnets'; did you mean 'small_resnet'?" in problem


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (
            change("multi_class.data.coarse_labels", None),
            "model.labels has 'coarse', but data.coarse_labels is not given",
        ),
        (change("multi_class.data.train", None), "data.train must be given exactly if the model is trained"),
        (
            change("multi_class.data.ood", ["static", "animal"]),
            "data names a set that data_sets lacks: animal; did you mean 'animals'? "
            "(known: squares, rendered, static, animals)",
        ),
        (change("multi_class.data.ood", ["static", "static"]), "data names a set twice"),
        (change("multi_class.data.ood", ["squares"]), "data names a set twice"),
    ],
)
def test_parameters_that_contradict_each_other_are_told(apply: Callable[[Parameters], None], message: str) -> None:
    (problem,) = problems(apply)
    assert problem.startswith(f"multi_class: {message}")


def test_noise_cannot_be_in_distribution() -> None:
    assert problems(change("multi_class.data.in_dist", "static"), change("multi_class.data.ood", ["animals"])) == [
        "multi_class: in_dist cannot be noise: static"
    ]


@pytest.mark.parametrize("name", ["train", "fit", "test", "mean", "mean_noise"])
def test_an_ood_set_cannot_take_a_name_that_the_tables_use(name: str) -> None:
    (problem,) = problems(
        change(f"multi_class.data_sets.{name}", {"source": "noise", "recipe": "gaussian"}),
        change("multi_class.data.ood", [name]),
    )
    assert f"an OOD set cannot be called {name}" in problem


def test_rendered_sets_need_the_fabrication() -> None:
    (problem,) = problems(change("multi_class.data.in_dist", "rendered"), change("multi_class.fabrication", False))
    assert problem == "multi_class: fabrication is switched off, but data names rendered sets: rendered"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {"training": "head"},
            "'small_resnet' has no published weights: train it from random ones or give a checkpoint",
        ),
        (
            {"weights": "checkpoint"},
            "weights: checkpoint belongs to training: none, and nothing is trained on top of it",
        ),
        (
            {"architecture": "efficientnet_lite0", "training": "none"},
            "a model that is not trained here has labels: [fine] and seeds: [0]",
        ),
        ({"labels": ["fine", "fine"]}, "labels names one twice: fine, fine"),
        (
            {"training": "network", "pretrained": True},
            "'small_resnet' has no published weights: train it from random ones or give a checkpoint",
        ),
        (
            {"architecture": "efficientnet_lite0", "training": "head", "pretrained": True},
            "pretrained belongs to training: network; the others always use the published weights",
        ),
    ],
)
def test_a_model_that_cannot_be_is_told(model: dict[str, Any], message: str) -> None:
    given = parameters()["multi_class"]["model"] | model
    assert problems(change("multi_class.model", given)) == [f"multi_class.model: {message}"]


def test_a_seed_that_is_named_twice_is_told() -> None:
    assert problems(change("multi_class.model.seeds", [1, 2, 1])) == [
        "multi_class.model.seeds: names one twice: 1, 2, 1"
    ]


def test_per_class_and_share_exclude_each_other() -> None:
    assert problems(change("multi_class.data.fit", {"split": "val", "per_class": 1, "share": 0.5})) == [
        "multi_class.data.fit: give per_class or share, not both"
    ]


def test_a_setting_under_another_name_is_told() -> None:
    assert problems(change("multi_class.identity.setting", "segmentation")) == [
        "multi_class.identity.setting: must be 'multi_class' (given: 'segmentation')"
    ]


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        change("runtime.workers", -1),
        change("runtim", {}),
        change("multi_class.model.epoch", 3),
        change("multi_class.data.most_unreadable", 2),
        change("multi_class.detectors", {"maxlogit": {}, "energy": {"temprature": 1}, "msp": None}),
        change("segmentation", {}),
    )
    places = [problem.split(":")[0] for problem in told]
    assert {"runtime.workers", "runtim", "multi_class.model.epoch", "multi_class.data.most_unreadable"} <= set(places)
    assert "multi_class.detectors.msp" in places
    assert "segmentation.model" in places


def test_two_wrong_detectors_are_told_in_two_lines() -> None:
    told = problems(change("multi_class.detectors", {"maxlogit": {}, "energy": {"temprature": 1}}))
    assert [problem.split(" ")[1] for problem in told] == ["unknown", "detector"]


def test_two_contradictions_are_told_in_two_lines() -> None:
    told = problems(change("multi_class.data.coarse_labels", None), change("multi_class.data.in_dist", "square"))
    assert len(told) == 2


@pytest.mark.parametrize(
    "apply",
    [
        change("multi_class.detectors.msp", None),
        change("multi_class.data_sets.static.recipe", 3),
        change("multi_class.fabrication", "yes"),
        change("multi_class.data.ood", "static"),
        change("multi_class.model.seeds", [0.5]),
        change("multi_class.reporting.caveats", "beware"),
    ],
)
def test_no_message_shows_the_machinery_behind(apply: Callable[[Parameters], None]) -> None:
    for problem in problems(apply):
        for word in ("pydantic", "function-after", "literal[", "dict[", "Input should", "tag", "validat", "instance"):
            assert word not in problem.lower() if word.islower() else word not in problem


def test_bound_parameters_are_those_of_the_running_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_bound", {})
    structure.bind(parameters())
    assert structure.setting_specs()["multi_class"].identity.benchmark == "toy"


def test_without_a_session_the_project_of_the_current_folder_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(structure, "_bound", {})
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    monkeypatch.chdir(Path(__file__).parents[1])
    assert structure.setting_specs()["multi_class"].identity.benchmark == "miniature"
    monkeypatch.setenv("KEDRO_ENV", "test")
    assert structure.setting_specs()["multi_class"].identity.benchmark == "test"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.ClickException, match="no Kedro project here"):
        structure.setting_specs()


@pytest.mark.parametrize("name", structure.RUN_TIME)
@pytest.mark.parametrize("value", [None, "", " ", 2024])
def test_what_is_given_at_run_time_must_be_a_name(name: str, value: object) -> None:
    with pytest.raises(click.ClickException) as caught:
        checked(parameters() | {name: value})
    (line,) = caught.value.message.splitlines()[1:]
    assert line.startswith(f"- {name}: must be ")
    assert f"(given: {value or 'nothing'}): --params {name}=" in line


@pytest.mark.parametrize(
    "name", ["a(1)", "a[1]", "../../up", "s/x", ".hidden", "a.b", "a b", "", "x" * 61, "a:b", "_a", "new\nline"]
)
def test_a_name_that_cannot_be_a_folder_and_a_metric_is_refused(name: str) -> None:
    noise = {"source": "noise", "recipe": "gaussian"}
    found = problems(lambda given: given["multi_class"]["data_sets"].update({name: noise}))
    rule = "letters, digits, _ and - alone, begins with a letter or digit, at most 60 of them"
    assert found == [f"multi_class.data_sets: data set {name!r}: a name has {rule}"]


@pytest.mark.parametrize("name", ["a", "A-1", "imagenet_21k_p", "größe", "日本", "9"])
def test_other_names_are_taken(name: str) -> None:
    given = parameters()
    given["multi_class"]["data_sets"][name] = {"source": "noise", "recipe": "gaussian"}
    given["multi_class"]["data"]["ood"] = [name]
    assert checked(given)["multi_class"].data.ood == (name,)


def test_names_that_some_disks_do_not_tell_apart_are_refused() -> None:
    noise = {"source": "noise", "recipe": "gaussian"}
    (found,) = problems(lambda given: given["multi_class"]["data_sets"].update(Static=noise))
    assert "'Static' differs from 'static' in capitals alone" in found


def test_a_benchmark_has_such_a_name_too() -> None:
    (found,) = problems(change("multi_class.identity.benchmark", "../up"))
    assert found.startswith("multi_class.identity.benchmark: the name '../up': a name has letters")
