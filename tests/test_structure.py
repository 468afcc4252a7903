"""What a person is told about wrong parameters: where, what, and what would be right; all of it at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from toy_parameters import Parameters, change, changed, parameters, remove

from scaling_ood import structure
from scaling_ood.structure import checked
from scaling_ood.tasks import tasks

PROJECT = Path(__file__).parents[1]
NOISE = {"source": "noise", "recipe": "gaussian"}
NAMES = "letters, digits, _ and - alone, begins with a letter or digit, at most 60 of them"
Change = Callable[[Parameters], None]


def problems(*changes: Change) -> list[str]:
    """Lines that a person reads after some changes."""
    with pytest.raises(click.ClickException) as caught:
        checked(changed(*changes))
    head, *listed = caught.value.message.splitlines()
    assert head == "The parameters are not valid; nothing was run."
    assert all(line.startswith("- ") for line in listed)
    return [line.removeprefix("- ") for line in listed]


@pytest.fixture
def unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_bound", {})
    monkeypatch.delenv("KEDRO_ENV", raising=False)


def test_valid_parameters_give_every_setting_its_task() -> None:
    settings = checked(parameters())
    assert list(settings) == [task.name for task in tasks()]
    assert [setting.task for setting in settings.values()] == list(tasks())
    assert all(type(setting.spec) is setting.task.spec for setting in settings.values())
    assert settings["multi_class"].spec.data.ood == ("static", "animals", "species")  # type: ignore[attr-defined]


def test_settings_come_in_one_order_whatever_the_order_of_the_files() -> None:
    assert list(checked(dict(reversed(parameters().items())))) == list(checked(parameters()))


@pytest.mark.parametrize("off", [change("segmentation", False), remove("segmentation"), remove("segmentation.data")])
def test_a_setting_is_off_with_false_and_where_it_has_no_data(off: Change) -> None:
    assert checked(changed(off)).keys() == {"multi_class", "multi_label"}


def test_a_setting_without_data_is_no_place_for_mistakes_either() -> None:
    given = changed(remove("segmentation.data"))
    given["segmentation"]["dat"] = {}
    with pytest.raises(click.ClickException, match=r"segmentation\.dat: no such parameter; did you mean 'data'\?"):
        checked(given)


@pytest.mark.usefixtures("unbound")
def test_nothing_runs_where_every_setting_is_off() -> None:
    names = [task.name for task in tasks()]
    structure.bind(changed(*(change(name, False) for name in names)))
    with pytest.raises(click.ClickException, match=rf"No setting has `data` \(there are: {', '.join(names)}\)"):
        structure.typed_parameters()


def test_what_the_command_line_adds_is_no_unknown_parameter() -> None:
    given = parameters() | {"data_root": "photographs", "device": "cpu", "precision": "bf16", "checkpoint": "x.pth"}
    assert len(checked(given)) == len(tasks())


@pytest.mark.parametrize("name", structure.RUN_TIME)
@pytest.mark.parametrize("value", [None, "", " ", 2024])
def test_what_is_given_at_run_time_must_be_a_name(name: str, value: object) -> None:
    (line,) = problems(change(name, value))
    assert line.startswith(f"{name}: must be ")
    assert f"(given: {value or 'nothing'}): --params {name}=" in line


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("multi_clas", "multi_class"),
        ("runtime.batch_image", "batch_images"),
        ("data_sets.squares.foldr", "folder"),
        ("data_sets.rendered.layuot", "layout"),
        ("data_sets.static.sgma", "sigma"),
        ("data_sets.animals.classes.colum", "column"),
        ("multi_class.extracton", "extraction"),
        ("multi_class.extraction.shard_image", "shard_images"),
        ("multi_class.networks.classifier.epoch", "epochs"),
        ("multi_class.networks.families.target", "targets"),
        ("multi_class.data.seeds", "seed"),
        ("multi_class.data.fit.per_clas", "per_class"),
        ("multi_class.data.train.shares", "share"),
        ("multi_class.reporting.caveat", "caveats"),
        ("multi_label.data.labeled", "labelled"),
        ("multi_label.data.labelled.years", "year"),
        ("multi_label.networks.classifier.backbone_learning_rat", "backbone_learning_rate"),
        ("segmentation.data.laout", "layout"),
        ("segmentation.networks.segmenter.test_egde", "test_edge"),
        ("segmentation.networks.autoencoder.diference", "difference"),
    ],
)
def test_a_misspelt_parameter_is_named_once_with_its_place_and_the_nearest_one(path: str, nearest: str) -> None:
    (problem,) = problems(change(path, 1))
    assert problem.startswith(f"{path}: no such parameter; did you mean '{nearest}'? (known: ")


def test_parameters_that_are_suggested_for_a_data_set_are_those_of_its_source() -> None:
    (problem,) = problems(change("data_sets.static.folder", "x"))
    assert "layout" not in problem
    assert "recipe" in problem


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("multi_class.fabrication.familys", 3, ": no such parameter: familys; did you mean 'families'? (known: "),
        ("multi_class.fabrication.size_px", 4, ": MiniatureSpec: size_px=4, allowed: an integer from 16 to 512"),
        ("multi_class.fabrication", "yes", ": must be a mapping (given: 'yes')"),
        ("multi_label.fabrication.known_kind", 12, ": no such parameter: known_kind; did you mean 'known_kinds'? ("),
        ("multi_label.fabrication.size_px", 4, ": CompositeSpec: size_px=4, allowed: an integer from 32 to 512"),
    ],
)
def test_a_mistake_in_what_is_rendered_is_named_with_what_is_right(path: str, value: object, message: str) -> None:
    (problem,) = problems(change(path, value))
    place = ".".join(path.split(".")[:2])
    assert problem.startswith(place + message)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("maxlogit", {}, ": unknown detector 'maxlogit'; did you mean 'max_logit'? (known: "),
        ("enrgy", False, ": no such detector; did you mean 'energy'?"),
        ("energy", {"temprature": 2.0}, ": detector 'energy' has no option 'temprature'; did you mean 'temperature'?"),
        ("energy", {"temperature": -1.0}, ": temperature must be a number above 0, not -1.0"),
        ("mine", {"method": "msq"}, ": unknown detector 'msq'; did you mean 'msp'? (known: "),
        ("mine", {"method": "msp", "network": "familys"}, ".network: no network 'familys'; did you mean 'families'?"),
        ("mine", {"method": "msp", "logits_of": "odn"}, ": logits_of: no detector 'odn'; did you mean 'odin'? (known"),
        ("mine", {"method": "msp", "logits_of": "energy"}, ": logits_of: 'energy' reads nothing that is made from"),
    ],
)
def test_a_mistake_in_a_detector_is_named_with_the_nearest_that_is_right(
    name: str, value: object, message: str
) -> None:
    (problem,) = problems(change(f"multi_class.detectors.{name}", value))
    assert problem.startswith(f"multi_class.detectors.{name}{message}")


def test_a_detector_with_a_name_of_its_own_can_be_switched_off() -> None:
    names = ("odin_max_logit", "rotation_msp", "max_logit_2")
    spec = checked(changed(*(change(f"multi_class.detectors.{name}", False) for name in names)))["multi_class"].spec
    assert list(spec.methods) == ["msp", "energy", "families_msp", "confidence_branch", "odin"]


@pytest.mark.parametrize(
    ("given", "shown"), [(None, "a bare key was given"), (True, "given: True"), ("on", "given: 'on'"), (1, "given: 1")]
)
def test_another_value_of_a_detector_says_how_to_switch_it_on_and_off(given: object, shown: str) -> None:
    assert problems(change("multi_class.detectors.msp", given)) == [
        f"multi_class.detectors.msp: must be {{}} (on, with the defaults), {{option: value}} or false ({shown})"
    ]


def test_switching_every_detector_off_is_an_error() -> None:
    assert problems(change("multi_class.detectors", {"msp": False})) == [
        "multi_class.detectors: every detector is switched off"
    ]


@pytest.mark.parametrize(
    "path",
    [
        "runtime",
        "multi_class",
        "multi_class.data",
        "multi_class.networks",
        "multi_class.networks.classifier",
        "multi_class.networks.families",
        "multi_class.detectors",
        "data_sets.squares",
        "segmentation.networks.segmenter",
        "segmentation.networks.autoencoder",
    ],
)
def test_a_bare_key_where_a_mapping_belongs_is_told(path: str) -> None:
    assert problems(change(path, None)) == [f"{path}: must be a mapping (a bare key was given)"]


@pytest.mark.parametrize("value", [None, "all", []])
def test_a_library_that_is_no_mapping_is_told(value: object) -> None:
    assert problems(change("data_sets", value))[0].startswith("data_sets: must be a mapping")


def test_a_bare_key_where_a_value_belongs_is_told() -> None:
    path = "multi_class.networks.classifier.epochs"
    assert problems(change(path, None)) == [f"{path}: must be a valid integer (a bare key was given)"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("runtime.workers", -1, "must be 'auto', or an integer from 0 on (given: -1)"),
        ("runtime.workers", "all", "must be 'auto', or an integer from 0 on (given: 'all')"),
        ("data_sets.static.recipe", "snow", "must be 'gaussian', 'rademacher' or 'blobs' (given: 'snow')"),
        ("data_sets.static.recipe", 3, "must be 'gaussian', 'rademacher' or 'blobs' (given: 3)"),
        ("multi_class.networks.classifier.epochs", "many", "must be a valid integer, unable to parse string as an"),
        ("multi_class.networks.classifier.weights", "heads", "must be 'published', 'checkpoint', 'trained_head', "),
        ("multi_class.networks.classifier.label_smoothing", 1.0, "must be less than 1 (given: 1.0)"),
        ("multi_class.networks.families.targets", "coars", "must be 'classes' or 'coarse' (given: 'coars')"),
        ("multi_class.networks.classifier.seeds", [1, 2, 1], "names one twice: 1, 2, 1"),
        ("multi_class.data.fit.share", 1.5, "must be less than or equal to 1 (given: 1.5)"),
        ("multi_class.data.ood", [], "must have at least 1 item, not 0"),
        ("multi_class.data.ood", "static", "must be a list (given: 'static')"),
        ("multi_class.reporting.caveats", "beware", "must be a list (given: 'beware')"),
        ("multi_class.extraction.precision", "fp16", "must be 'float32', 'tf32' or 'bf16' (given: 'fp16')"),
        ("multi_label.data.labelled.hard_objects", "kept", "must be 'counted' or 'ignored' (given: 'kept')"),
        ("multi_label.data.most_unreadable", 1.5, "must be less than or equal to 1 (given: 1.5)"),
        (
            "multi_label.networks.classifier.averaging",
            "voc",
            "must be 'step', 'trapezoid' or 'voc_2007' (given: 'voc')",
        ),
        ("multi_label.networks.classifier.least_quality", 62, "must be less than or equal to 1 (given: 62)"),
        ("multi_label.reporting.positive_class", "in", "must be 'ood', 'in_dist' or 'both' (given: 'in')"),
        ("segmentation.networks.autoencoder.difference", "l3", "must be 'l1' or 'l2' (given: 'l3')"),
        ("segmentation.networks.segmenter.batch_images", 1, "must be greater than or equal to 2 (given: 1)"),
    ],
)
def test_a_value_out_of_range_is_told_once_with_place_value_and_range(path: str, value: object, message: str) -> None:
    (problem,) = problems(change(path, value))
    assert problem.startswith(f"{path}: {message}")


def test_a_wrong_item_of_a_list_is_named_by_its_index() -> None:
    assert problems(change("multi_class.networks.classifier.seeds", [0, -1])) == [
        "multi_class.networks.classifier.seeds.1: must be greater than or equal to 0 (given: -1)"
    ]


def test_a_missing_parameter_is_named() -> None:
    assert problems(remove("multi_class.data.fit"), remove("multi_class.networks.classifier.architecture")) == [
        "multi_class.data.fit: is missing",
        "multi_class.networks.classifier.architecture: is missing",
    ]


@pytest.mark.parametrize(
    ("apply", "end"),
    [
        (change("data_sets.squares.source", "photo"), "(given: 'photo')"),
        (remove("data_sets.squares.source"), "(it is missing)"),
    ],
)
def test_a_data_set_without_a_known_source_names_the_sources(apply: Change, end: str) -> None:
    assert problems(apply) == [f"data_sets.squares: source must be one of 'photographs', 'fabricated', 'noise' {end}"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("data_sets.squares.layout", ": unknown layout 'image_folders'; did you mean 'image_folder'? (known: "),
        ("multi_label.data.labelled.layout", ": unknown layout 'image_folders' (known: coco, "),
        ("segmentation.data.layout", ": unknown layout 'image_folders'; did you mean 'paired_folders'? (known: "),
        ("segmentation.data.label_map", ": unknown label map 'image_folders' (known: "),
        ("multi_class.networks.classifier.architecture", ": unknown architecture 'image_folders' (known: "),
        ("segmentation.networks.segmenter.architecture", ": unknown segmenter 'image_folders'"),
    ],
)
def test_an_unknown_word_is_named_once_with_the_known_ones(path: str, message: str) -> None:
    (problem,) = problems(change(path, "image_folders"))
    assert problem.startswith(path.removesuffix(".layout").removesuffix(".label_map"))
    assert message in problem
    assert problem.count("image_folders") == 1


def test_an_unknown_objective_is_told_with_all_that_there_are() -> None:
    assert problems(change("segmentation.networks.autoencoder.objective", "rebuild")) == [
        "segmentation.networks.autoencoder: objective must be 'classes', 'confidence' or 'reconstruction'"
    ]


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (
            remove("data_sets.squares.groups"),
            "multi_class: networks.families.targets is coarse, but data_sets.squares.groups is not given",
        ),
        (
            change("multi_class.data.train", None),
            "multi_class: data.train must be given exactly if a network is trained",
        ),
        (
            change("multi_class.data.ood", ["static", "animal"]),
            "multi_class.data.ood: unknown data set 'animal'; did you mean 'animals'? "
            "(known: animals, raccoons, rendered, species, squares, static)",
        ),
        (
            change("multi_class.data.ood", ["static", "static"]),
            "multi_class.data: names a set twice: in_dist squares, ",
        ),
        (change("multi_class.data.ood", ["squares"]), "multi_class.data: names a set twice: in_dist squares, "),
        (
            change("multi_class.data.sets", {}),
            "multi_class.data: sets cannot be given: the library `data_sets` defines",
        ),
        (
            change("segmentation.data.source", "fabricated"),
            "segmentation: fabrication is switched off, but data names rendered sets: street",
        ),
        (
            change("multi_class.data.fit", {"split": "val", "per_class": 1, "share": 0.5}),
            "multi_class.data.fit: give per_class or share, not both",
        ),
        (
            change("multi_class.networks", {"other": {"architecture": "small_resnet", "weights": "trained"}}),
            "multi_class: networks lacks 'classifier', whose outputs all detectors share",
        ),
        (
            change("multi_class.networks.classifer", {"targets": "classes"}),
            "multi_class.networks.classifer: no detector reads it; did you mean 'classifier'?",
        ),
        (
            change("multi_label.data.fit", {"split": "train", "share": 0.1}),
            "multi_label.data: fit cannot be of the split train, which training takes wholly",
        ),
        (
            change("multi_label.data.labelled.manifest", "x.csv"),
            "multi_label.data.labelled: layout coco takes no manifest (it takes: year, hard_objects)",
        ),
    ],
)
def test_parameters_that_contradict_each_other_are_told(apply: Change, message: str) -> None:
    (problem,) = problems(apply)
    assert problem.startswith(message)


@pytest.mark.parametrize("roles", [["train"], ["fit", "test"], ["train", "fit", "test"]])
def test_images_per_class_have_no_meaning_where_an_image_has_several(roles: list[str]) -> None:
    told = problems(*(change(f"multi_label.data.{role}", {"split": "val", "per_class": 2}) for role in roles))
    place = f".{roles[0]}" if len(roles) == 1 else f": {', '.join(roles)}"
    assert told == [f"multi_label.data{place}: per_class has no meaning where an image has several classes"]


def test_noise_cannot_be_in_distribution() -> None:
    assert problems(change("multi_class.data.in_dist", "static"), change("multi_class.data.ood", ["animals"]))[0] == (
        "multi_class.data: in_dist cannot be noise: static"
    )


@pytest.mark.parametrize("name", ["train", "fit", "test", "mean", "mean_noise"])
@pytest.mark.parametrize("setting", ["multi_class", "multi_label"])
def test_an_ood_set_cannot_take_a_name_that_the_tables_use(setting: str, name: str) -> None:
    (problem,) = problems(change(f"data_sets.{name}", dict(NOISE)), change(f"{setting}.data.ood", [name]))
    assert problem.startswith(f"{setting}.data: an OOD set cannot be called {name}: that names rows of its own")


@pytest.mark.parametrize(
    ("path", "network", "message"),
    [
        (
            "multi_class.networks.classifier",
            {"weights": "trained_head"},
            ": 'small_resnet' has no published weights: give",
        ),
        (
            "multi_class.networks.classifier",
            {"weights": "fine_tuned"},
            ": 'small_resnet' has no published weights: give ",
        ),
        (
            "multi_class.networks.classifier",
            {"architecture": "efficientnet_lite0", "weights": "published", "seeds": [1]},
            ": a network that is not trained here has seeds: [0]",
        ),
        (
            "multi_class.networks.families",
            {"architecture": "efficientnet_lite0", "weights": "published"},
            ".targets: coarse needs a network that is trained here",
        ),
        ("multi_label.networks.classifier", {"weights": "trained"}, ".weights: trained (from random ones) cannot be: "),
        (
            "multi_label.networks.classifier",
            {"weights": "published"},
            ".weights: published cannot be: no published head",
        ),
        (
            "segmentation.networks.segmenter",
            {"images_per_scale": 3},
            ": images_per_scale (3) must divide batch_images (8)",
        ),
        (
            "segmentation.networks.segmenter",
            {"classes": 3},
            ": classes is a checkpoint's: of networks trained here the",
        ),
        (
            "segmentation.networks.segmenter",
            {"architecture": "pspnet_resnet101", "weights": "published", "seeds": [0]},
            ".weights: published cannot be: encoders are published, segmenters are not",
        ),
    ],
)
def test_a_network_that_cannot_be_is_told_once(path: str, network: dict[str, Any], message: str) -> None:
    (problem,) = problems(*(change(f"{path}.{name}", value) for name, value in network.items()))
    assert problem.startswith(path + message)


def test_scores_of_pixels_cannot_be_all_that_is_kept() -> None:
    (problem,) = problems(change("segmentation.extraction", {"keep": "scores"}))
    assert "extraction.keep: scores cannot be: scores of pixels are never stored" in problem


def test_what_two_networks_state_wrongly_is_told_of_both() -> None:
    told = problems(
        change("multi_class.networks.classifier.epochs", 0),
        change("multi_class.networks.confidence_branch.epochs", -3),
        change("segmentation.networks.segmenter.epochs", 0),
        change("segmentation.networks.autoencoder.edge", 0),
    )
    assert [line.split(":")[0] for line in told] == [
        "multi_class.networks.classifier.epochs",
        "multi_class.networks.confidence_branch.epochs",
        "segmentation.networks.segmenter.epochs",
        "segmentation.networks.autoencoder.edge",
    ]


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        change("runtime.workers", -1),
        change("runtim", {}),
        change("benchmark", "../up"),
        change("device", ""),
        change("data_sets.squares.foldr", "x"),
        change("multi_class.networks.classifier.epoch", 3),
        change("multi_class.data.most_unreadable", 2),
        change("multi_class.detectors", {"msp": None}),
        change("multi_label.detectors", {"maxlogit": {}, "energy": {"temprature": 1}, "max logit": {"method": "msp"}}),
        change("segmentation.networks.segmenter.scale", [3]),
    )
    assert [line.split(":")[0] for line in told] == [
        "device",
        "runtim",
        "benchmark '../up'",
        "runtime.workers",
        "data_sets.squares.foldr",
        "multi_class.data.most_unreadable",
        "multi_class.networks.classifier.epoch",
        "multi_class.detectors.msp",
        "multi_label.detectors",
        "multi_label.detectors.maxlogit",
        "multi_label.detectors.energy",
        "segmentation.networks.segmenter.scale",
    ]


@pytest.mark.parametrize(
    "apply",
    [
        change("multi_class.detectors.msp", None),
        change("data_sets.static.recipe", 3),
        change("data_sets.static", 3),
        change("multi_class.fabrication", "yes"),
        change("multi_class.data.ood", "static"),
        change("multi_class.data.ood", []),
        change("multi_class.networks.classifier.seeds", [0.5]),
        change("multi_class.networks", "all"),
        change("multi_class.reporting.caveats", "beware"),
        change("segmentation.networks.autoencoder.edge", "wide"),
        change("segmentation.networks.segmenter", "on"),
        change("segmentation.data.paired", {"splits": {}, "ids": {0: "nothing"}}),
    ],
)
def test_no_message_shows_the_machinery_behind(apply: Change) -> None:
    for problem in problems(apply):
        for word in ("pydantic", "function-", "literal[", "dict[", "input should", "tag", "validat", "instance", "{{"):
            assert word not in problem.lower()


@pytest.mark.parametrize(
    "name", ["a(1)", "a[1]", "../../up", "s/x", ".hidden", "a.b", "a b", "", "x" * 61, "a:b", "_a", "new\nline"]
)
def test_a_name_that_cannot_be_a_folder_and_a_metric_is_refused(name: str) -> None:
    def add(section: str, value: Any) -> Change:
        return lambda given: given["multi_class"][section].update({name: value})

    benchmark = problems(lambda given: given.update(benchmark=name))
    data_set = problems(lambda given: given["data_sets"].update({name: dict(NOISE)}))
    detector, network = problems(add("detectors", {"method": "msp"})), problems(add("networks", {"width": 3}))
    assert benchmark == [f"benchmark {name!r}: a name has {NAMES}"]
    assert data_set == [f"data_sets: data set {name!r}: a name has {NAMES}"]
    assert any(f"detector {name!r}: a name has {NAMES}" in line for line in detector)
    assert any(f"the name {name!r}: a name has {NAMES}" in line for line in network)


@pytest.mark.parametrize("name", ["a", "A-1", "imagenet_21k_p", "größe", "日本", "9"])
def test_other_names_are_taken(name: str) -> None:
    given = changed(change(f"data_sets.{name}", dict(NOISE)), change("multi_class.data.ood", [name]))
    assert checked(given)["multi_class"].spec.data.ood == (name,)  # type: ignore[attr-defined]


def test_names_that_some_disks_do_not_tell_apart_are_refused() -> None:
    (data_set,) = problems(change("data_sets.Static", dict(NOISE)))
    (detector,) = problems(change("multi_class.detectors.MSP", {"method": "msp"}))
    assert "'Static' differs from 'static' in capitals alone" in data_set
    assert "'MSP' differs from 'msp' in capitals alone" in detector


@pytest.mark.usefixtures("unbound")
def test_two_environments_in_one_process_do_not_mix() -> None:
    structure.bind(parameters())
    assert structure.setting_specs().keys() == {task.name for task in tasks()}
    structure.bind(changed(change("multi_class", False), change("benchmark", "other"), remove("segmentation.data")))
    assert structure.setting_specs().keys() == {"multi_label"}
    assert {name.split(".")[0] for name in structure.typed_parameters()} == {"runtime", "multi_label"}


@pytest.mark.usefixtures("unbound")
def test_without_a_session_the_project_of_the_current_folder_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(PROJECT)
    built_in = structure.setting_specs()["multi_class"].spec
    monkeypatch.setenv("KEDRO_ENV", "test")
    assert structure.setting_specs()["multi_class"].spec != built_in
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.ClickException, match="no Kedro project here"):
        structure.setting_specs()


@pytest.mark.usefixtures("unbound")
def test_nodes_are_given_what_was_checked_by_the_names_of_the_yaml() -> None:
    structure.bind(parameters())
    typed = structure.typed_parameters()
    settings = structure.setting_specs()
    assert typed["runtime"].workers == 0
    for name, (_, spec) in settings.items():
        assert typed[f"{name}.data"] == spec.data
        assert {key.split(".", 2)[2] for key in typed if key.startswith(f"{name}.networks.")} == spec.networks.keys()
        assert {key.split(".", 2)[2] for key in typed if key.startswith(f"{name}.detectors.")} == spec.methods.keys()
    assert "segmentation.fabrication" not in typed
