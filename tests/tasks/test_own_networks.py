"""Networks that a person brings: as they are, in the order of their own classes, and not without any check."""

import click
import pytest
import torch
from helpers.bench import bench, only
from helpers.programs import Small, export_onnx, export_pt2
from helpers.saved_networks import fit_head, prepared, resnet, save
from helpers.toys import COLOURS

from scaling_ood.models.hugging_face import LogitsOf
from scaling_ood.tasks.task import WrongNetworkError

CLASSES = sorted(COLOURS)
UNTRAINED = {"data__train": None, "detectors": only("msp", "knn", "react", "odin")}


def classifier(**fields):
    return {"networks": {"classifier": {"weights": "published", **fields}}, **UNTRAINED}


def brought(tmp_path, names=CLASSES, *, named=()):
    """A folder of Hugging Face whose network tells the colours apart, with its outputs in the order of `names`.

    It calls them `named`, if anything.
    """
    plain = bench("multi_class", tmp_path / "plain", detectors=only("msp"))
    rows = plain.manifest.rows[lambda r: r["label"] >= 0]
    paths = [file.path for file in plain.manifest.files(rows)]
    place = torch.tensor([list(names).index(name) for name in rows["class_name"]])
    model = resnet(len(names), named)
    fit_head(model, prepared(paths), torch.nn.functional.one_hot(place, len(names)))
    save(model, tmp_path / "mine")
    return plain.photographs, f"hf:{tmp_path / 'mine'}", model


def test_a_folder_of_hugging_face_is_run_as_it_is_with_features_and_odin(tmp_path):
    photographs, name, model = brought(tmp_path)
    own = bench("multi_class", tmp_path / "own", photographs, **classifier(architecture=name))
    quality = own.load("classifier.quality")
    assert quality.value == 1.0
    rows = own.manifest.of("test")
    with torch.no_grad():
        images = prepared([file.path for file in own.manifest.files(rows)])
        expected = model(pixel_values=images).logits
    torch.testing.assert_close(own.output("test"), expected, rtol=1e-4, atol=1e-3)
    for detector in ("msp", "knn", "react", "odin"):
        assert not own.load(f"{detector}.scores").gap


@pytest.mark.parametrize("names", [CLASSES, CLASSES[::-1]])
def test_outputs_follow_the_names_that_the_network_has_for_its_classes(tmp_path, names):
    photographs, name, _ = brought(tmp_path, names, named=names)
    own = bench("multi_class", tmp_path / "own", photographs, **classifier(architecture=name))
    assert own.load("classifier.quality").value == 1.0


def test_names_may_be_spelled_otherwise_and_the_report_says_so(tmp_path):
    photographs, name, _ = brought(tmp_path, CLASSES[::-1], named=[f"{each.title()} -" for each in CLASSES[::-1]])
    own = bench("multi_class", tmp_path / "own", photographs, **classifier(architecture=name))
    assert own.load("classifier.quality").value == 1.0
    told = own.load("classifier.outputs").about["told"]["Order of the classes"]
    assert told.startswith("of its own names; 4 differ in spelling: ")


def test_outputs_follow_the_file_of_the_class_order_and_are_wrong_without_it(tmp_path):
    order = [CLASSES[2], CLASSES[0], CLASSES[3], CLASSES[1]]
    photographs, name, _ = brought(tmp_path, order)
    file = tmp_path / "order.txt"
    file.write_text("\n".join(order))
    own = bench("multi_class", tmp_path / "own", photographs, **classifier(architecture=name, class_order=str(file)))
    assert own.load("classifier.quality").value == 1.0
    without = bench("multi_class", tmp_path / "without", photographs, **classifier(architecture=name))
    with pytest.raises(WrongNetworkError, match=r"top-1 accuracy 0\.0% is at chance level \(25\.0%; by luck up to"):
        without.load("classifier.quality")


def test_a_network_at_chance_is_refused_unless_somebody_says_that_it_is_known_to_be(tmp_path):
    save(resnet(4), tmp_path / "mine")
    own = {"architecture": f"hf:{tmp_path / 'mine'}"}
    blind = bench("multi_class", tmp_path / "a", **classifier(**own))
    with pytest.raises(WrongNetworkError, match=r"known to be no better, say so: least_quality: 0"):
        blind.load("classifier.quality")
    stated = bench("multi_class", tmp_path / "b", blind.photographs, **classifier(**own, least_quality=0.0))
    assert "is at chance level" in stated.load("classifier.quality").warning


def test_a_network_of_which_nothing_is_stated_is_told_of(tmp_path):
    photographs, name, _ = brought(tmp_path)
    own = bench("multi_class", tmp_path / "own", photographs, **classifier(architecture=name))
    assert "Nothing says how good hf:" in own.load("classifier.quality").warning
    stated = bench("multi_class", tmp_path / "b", photographs, **classifier(architecture=name, least_quality=0.9))
    assert stated.load("classifier.quality").warning == ""


def test_several_labels_an_image_are_told_by_a_folder_too(tmp_path):
    plain = bench("multi_label", tmp_path / "plain", detectors=only("msp"))
    rows = plain.manifest.rows[lambda r: r["labels"].notna() & r["image_set"].isin(["train", "fit", "test"])]
    targets = torch.zeros(len(rows), 3)
    for row, labels in enumerate(rows["labels"]):
        targets[row, [int(label) for label in labels.split(";") if label]] = 1
    model = resnet(3)
    fit_head(model, prepared([file.path for file in plain.manifest.files(rows)]), targets)
    save(model, tmp_path / "mine")
    changes = classifier(architecture=f"hf:{tmp_path / 'mine'}") | {"detectors": only("msp", "max_logit", "knn")}
    own = bench("multi_label", tmp_path / "own", plain.photographs, **changes)
    assert own.load("classifier.quality").value > 0.9
    assert own.same_elsewhere("classifier.outputs")
    assert not own.load("knn.scores").gap


def test_an_onnx_file_needs_its_preprocessing_stated_and_leaves_a_named_gap_for_odin(tmp_path):
    photographs, _, model = brought(tmp_path)
    file = export_onnx(LogitsOf(model), tmp_path / "mine.onnx", 8)
    levels = {"mean": [0.5] * 3, "std": [0.5] * 3}
    with pytest.raises(click.ClickException, match="preprocessing lacks mean, std, resize_px: nothing says how"):
        bench("multi_class", tmp_path / "none", photographs, **classifier(architecture=f"onnx:{file}"))
    own = bench(
        "multi_class",
        tmp_path / "own",
        photographs,
        **classifier(architecture=f"onnx:{file}", preprocessing={**levels, "squash": True}),
    )
    assert own.load("classifier.quality").value == 1.0
    assert own.same_elsewhere("classifier.outputs")
    assert not own.load("react.scores").gap
    gap = own.load("odin.scores").gap
    assert gap.startswith("not applicable: it takes gradients, which the network 'classifier' does not give")


def test_a_head_is_trained_on_the_features_of_a_program(tmp_path):
    file = export_pt2(Small(), tmp_path / "mine.pt2", 16)
    prepared_so = {"mean": [0.5] * 3, "std": [0.5] * 3, "squash": True}
    fields = {"architecture": f"pt2:{file}", "weights": "trained_head", "preprocessing": prepared_so, "epochs": 60}
    own = bench(
        "multi_class",
        tmp_path,
        networks={"classifier": {**fields, "learning_rate": 0.05}},
        detectors=only("msp", "knn", "odin"),
    )
    assert own.load("classifier.quality").value > 0.5
    assert not own.load("odin.scores").gap
