"""What is special about one class per image."""

import os
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bench import DELETE, bench, only, variant
from helpers.toys import COLOURS, folders
from PIL import Image
from toy_networks import TOY, build_toy

from scaling_ood.evaluation.chunks import ImageOutputs
from scaling_ood.images import quality
from scaling_ood.images.manifest import PartitionError
from scaling_ood.images.one_sided import OneSidedLabelsError
from scaling_ood.images.quality import QualityMeasure
from scaling_ood.images.species import split_species
from scaling_ood.models import ARCHITECTURES, ClassCountError, ClassHead, Forward, build_head
from scaling_ood.tasks import multi_class, whole_images
from scaling_ood.tasks.reading import UnfitFoldersError

CLASSES = sorted(COLOURS)
WHOLE = {"networks": {"classifier": {"architecture": "toy_network", "weights": "trained", "epochs": 2}}}


@pytest.fixture
def own(benches):
    return benches("multi_class")


def inputs_of(own, image_set):
    """Network input (1, 3, 8, 8) of each photograph, by hand: the central 8 x 8 of 10 x 12, mean = std = 0.5."""
    for file in own.manifest.files(own.manifest.of(image_set)):
        with Image.open(file.path) as image:
            pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
        yield torch.from_numpy((pixels - 0.5) / 0.5)[None]


def backbone_of(images):
    backbone = build_toy(True)[0].eval()
    with torch.no_grad():
        return torch.cat([backbone(image) for image in images])


# Data


def small(tmp_path, sets, **data):
    """A benchmark of the library's sets alone, which trains nothing."""
    parts = {"train": None, "fit": {"split": "all", "per_class": 1}, "test": {"split": "all"}}
    library = {f"data_sets__{name}": {"source": "photographs", **entry} for name, entry in sets.items()}
    networks = {"classifier": {"architecture": "toy", "weights": "published"}}
    changes = {"networks": networks, "data": parts | data, "detectors": only("msp"), **library}
    return bench("multi_class", tmp_path, tmp_path, **changes)


def test_labels_are_indices_into_the_sorted_classes_and_minus_one_for_ood(own):
    rows, record = own.manifest.rows, own.manifest.preparation
    known = rows[rows["image_set"].isin(["train", "fit", "test"])]
    assert list(record.classes) == CLASSES
    assert [CLASSES[label] for label in known["label"]] == list(known["class_name"])
    assert set(rows.drop(known.index)["label"]) == {-1}
    assert record.of_classes.groups == ("blue", "red")
    assert record.of_classes.group_of_class == (0, 0, 1, 1)
    assert record.of_classes.titles[0] == "blue dark"
    assert record.sources == {"greens": "photographs", "static": "noise", "raw_static": "noise"}


def test_the_seed_decides_the_roles(tmp_path):
    fits = []
    for seed in (1, 1, 2):
        made = bench("multi_class", tmp_path / f"{len(fits)}", detectors=only("msp"), data__seed=seed)
        fits.append(set(made.manifest.of("fit")["path"]))
    assert fits[0] == fits[1] != fits[2]


@pytest.mark.parametrize(("train", "trained"), [({"split": "train"}, 8), ({"split": "train", "per_class": 3}, 0)])
def test_fit_images_are_recorded_as_training_images_where_they_are(tmp_path, train, trained):
    for shift, folder in enumerate(("squares/train", "squares/val", "greens")):
        folders(tmp_path / folder, 5, COLOURS, shift)
    parts = {"train": train, "fit": {"split": "train", "per_class": 2}, "test": {"split": "val"}}
    data = {"in_dist": "squares", "ood": ["greens"], **parts}
    layout = {"data_sets__squares__layout": "image_folder", "data_sets__squares__groups": None}
    made = bench(
        "multi_class", tmp_path, tmp_path, data=data, detectors=only("msp"), networks__families=DELETE, **layout
    )
    ids = {role: set(rows["id"]) for role, rows in made.manifest.rows.groupby("image_set")}
    assert made.manifest.preparation.trained_fit == trained == len(ids["fit"] & ids["train"])
    assert not ids["test"] & (ids["fit"] | ids["train"])
    # Images that were trained on do not tell how good the network is.
    assert made.load("classifier.quality").by_set.keys() == ({"test"} if trained else {"fit", "test"})


def test_an_ood_set_is_drawn_down_to_the_wanted_number(tmp_path):
    made = bench("multi_class", tmp_path, detectors=only("msp"), data_sets__greens__images=3)
    assert made.manifest.preparation.images["greens"] == 3 == len(made.manifest.of("greens"))


def test_names_that_are_no_utf8_are_read_stored_and_shown(tmp_path):
    made = bench("multi_class", tmp_path, detectors=only("msp"), data__most_unreadable=0.05)
    folder = os.fsencode(made.photographs / "greens")
    os.rename(folder + b"/green_dark/001.png", folder + b"/green_dark/caf\xe9.png")
    Path(os.fsdecode(folder + b"/green_dark/x\xff.png")).write_bytes(b"no image at all")
    os.rename(folder + b"/green_light", folder + b"/gr\xfcn")
    assert list(made.load("quarantine")["id"]) == ["greens/green_dark/x\\xff.png"]
    greens = made.manifest.of("greens")
    assert "greens/green_dark/caf\\xe9.png" in set(greens["id"])
    assert "gr\\xfcn" in set(greens["class_name"])
    assert len(made.output("greens")) == 8


def test_a_class_that_is_too_small_for_its_roles_is_an_error(tmp_path):
    parts = {"data__train": {"split": "all", "per_class": 10}, "data__fit": {"split": "all", "per_class": 5}}
    with pytest.raises(PartitionError, match="fit: 4 classes have fewer than 5 images left"):
        bench("multi_class", tmp_path, detectors=only("msp"), **parts).load("manifest")


def test_a_class_that_is_never_trained_on_is_an_error(tmp_path):
    for split, classes in {"train": ("red", "blue"), "val": ("red", "blue", "green")}.items():
        folders(tmp_path / "squares" / split, 3, dict.fromkeys(classes, (90, len(split), 9)), len(split))
    folders(tmp_path / "greens", 3, {"a": (1, 99, 3)})
    parts = {"train": {"split": "train"}, "fit": {"split": "val", "per_class": 1}, "test": {"split": "val"}}
    layout = {"data_sets__squares__layout": "image_folder", "data_sets__squares__groups": None}
    data = {"in_dist": "squares", "ood": ["greens"], **parts}
    made = bench(
        "multi_class", tmp_path, tmp_path, data=data, detectors=only("msp"), networks__families=DELETE, **layout
    )
    with pytest.raises(OneSidedLabelsError, match=r"test: 1 classes have no training image.*: green with 2\. Give"):
        made.load("manifest")


def test_a_wrong_layout_is_told_which_one_fits(tmp_path):
    folders(tmp_path / "known", 3, COLOURS)
    folders(tmp_path, 3, {"flat": (9, 99, 9)}, 1)
    sets = {name: {"layout": "class_folders", "folder": name} for name in ("known", "flat")}
    with pytest.raises(UnfitFoldersError) as refused:
        small(tmp_path, sets, in_dist="known", ood=["flat"]).load("manifest")
    assert str(refused.value).splitlines() == [
        f"flat: no image in {tmp_path}/flat",
        "    layout 'class_folders' expects <class>/<image>",
        f"    found in {tmp_path}/flat: 3 images directly in it (000.png), no folders",
        "    layout 'flat' would fit: <image>",
    ]
    sets["flat"]["layout"] = "flat"
    assert small(tmp_path, sets, in_dist="known", ood=["flat"]).manifest.preparation.images["flat"] == 3


def test_an_in_distribution_set_without_classes_is_refused_with_the_layouts_that_have_them(tmp_path):
    folders(tmp_path / "known", 3, COLOURS)
    sets = {"known": {"layout": "flat", "folder": "known"}}
    with pytest.raises(UnfitFoldersError) as refused:
        small(tmp_path, sets, in_dist="known", ood=["static"]).load("manifest")
    told = str(refused.value)
    assert "known: its images have no classes, and the in-distribution set needs them" in told
    assert "layout 'class_folders' would fit: <class>/<image>" in told


def test_titles_come_from_a_shipped_table_where_one_is_named(tmp_path):
    folders(tmp_path / "set", 3, {"n01443537": (1, 2, 3), "n99999999": (4, 5, 6)})
    sets = {"fish": {"layout": "class_folders", "folder": "set", "titles": "tiny_imagenet"}}
    made = small(tmp_path, sets, in_dist="fish", ood=["static"])
    assert made.manifest.preparation.of_classes.titles == ("goldfish", "n99999999")


def test_held_out_species_are_never_known_ones_and_the_whole_copy_is_compared_with_what_was_published(tmp_path, caplog):
    for supercategory, kinds in {"Fish": 5, "Fungi": 3}.items():
        colours = {f"kind {kind}": (20 * len(supercategory), 40 * kind, 90) for kind in range(kinds)}
        folders(tmp_path / "species" / supercategory, 3, colours, kinds)
    whole = {"layout": "species", "folder": "species"}
    split = {part: whole | {"species": {"take": part, "share": 0.4, "seed": 3}} for part in ("known", "held_out")}
    sets = {"known": split["known"] | {"published": {"data_set": "species"}}, "held_out": split["held_out"]}
    manifest = small(tmp_path, sets, in_dist="known", ood=["held_out"]).manifest
    held_out = manifest.of("held_out")
    expected = split_species(sorted({*manifest.preparation.classes, *held_out["class_name"]}), 0.4, 3)
    assert manifest.preparation.classes == expected.known
    assert Counter(held_out["class_name"]) == dict.fromkeys(expected.held_out, 3)
    told = "known: species (paper), Fungi: 9 images, expected 163,049 (the paper, Table 7)"
    assert told in manifest.preparation.found.differences
    assert f"differs from what was published. {told}" in caplog.text


def test_labels_are_indices_into_the_list_that_a_head_knows(tmp_path):
    wnids = ("n01440764", "n15075141")
    folders(tmp_path / "imagenet/val", 3, dict.fromkeys(wnids, (200, 100, 0)))
    sets = {"imagenet": {"layout": "imagenet", "folder": "imagenet", "class_list": "imagenet_1k"}}
    parts = {"fit": {"split": "val", "per_class": 1}, "test": {"split": "val"}}
    made = small(tmp_path, sets, in_dist="imagenet", ood=["static"], **parts)
    known = made.manifest.rows[made.manifest.rows["data_set"] == "imagenet"]
    assert set(zip(known["class_name"], known["label"], strict=True)) == {(wnids[0], 0), (wnids[1], 999)}
    assert len(made.manifest.preparation.classes) == 1000
    folders(tmp_path / "imagenet/val", 3, {"n00000001": (0, 0, 0)})
    with pytest.raises(PartitionError, match=r"^imagenet: 1 classes are not in the list imagenet_1k.*: n00000001$"):
        made.run("manifest")


def test_a_curated_set_is_left_without_dark_and_flagged_images(tmp_path, monkeypatch):
    measure = QualityMeasure("brisque", "lower", lambda image: float(np.asarray(image).mean()))
    monkeypatch.setitem(quality.QUALITY_MEASURES, "brisque", measure)
    folders(tmp_path / "known", 3, {"a": (200, 200, 200), "b": (180, 180, 180)})
    folders(tmp_path / "scraped", 2, {"dark": (10, 10, 10), "light": (240, 240, 240)}, 1)
    (tmp_path / "flags.csv").write_text("image,reason\nlight/001.png,a drawing\n")
    rule = {"quality": "brisque", "cutoff": 60, "flags": "flags.csv"}
    sets = {name: {"layout": "class_folders", "folder": name} for name in ("known", "scraped")}
    curated = {**sets, "scraped": sets["scraped"] | {"curation": rule}}
    made = small(tmp_path, curated, in_dist="known", ood=["scraped"]).run("manifest")
    report = made.load("curation")
    assert report["id"].tolist() == ["scraped/dark/000.png", "scraped/dark/001.png", "scraped/light/001.png"]
    assert report["reason"].iloc[2] == "flagged: a drawing"
    assert made.manifest.of("scraped")["id"].tolist() == ["scraped/light/000.png"]
    assert made.manifest.preparation.found.curated == {"scraped": 3}
    (tmp_path / "flags.csv").write_text("image,reason\n")
    empty = {**sets, "scraped": sets["scraped"] | {"curation": {"flags": "flags.csv"}}}
    report = small(tmp_path, empty, in_dist="known", ood=["scraped"]).load("curation")
    assert list(report.columns) == ["data_set", "id", "path", "class_name", "quality", "reason"]
    assert report.empty


# Networks


def test_stored_features_are_the_backbones_of_the_training_images_turned_by_every_quarter(own):
    images = list(inputs_of(own, "train"))
    plain, turned = (own.load(f"{name}.features") for name in ("classifier", "rotation"))
    torch.testing.assert_close(whole_images.stored_features(plain, "train"), backbone_of(images), rtol=1e-4, atol=1e-5)
    for quarter in range(4):
        expected = backbone_of([image.rot90(quarter, (2, 3)) for image in images])
        found = whole_images.stored_features(turned, "train", quarter)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_heads_that_see_the_same_share_stored_features(own):
    assert own.task.feature_owners(own.spec) == {
        "classifier": "classifier",
        "confidence_branch": "classifier",
        "rotation": "rotation",
        "dropout": "classifier",
        "families": "classifier",
    }


def test_heads_are_of_the_shape_that_their_network_asks_for(own):
    shapes = {
        "classifier": {"output.weight": (4, 5)},
        "families": {"output.weight": (2, 5)},
        "confidence_branch": {"output.weight": (4, 5), "second.weight": (1, 5)},
        "rotation": {"output.weight": (4, 7), "second.weight": (4, 7), "hidden.0.weight": (7, 5)},
    }
    for name, expected in shapes.items():
        states = own.model(name).states()
        assert states.keys() == {"seed0", "seed1"}
        assert {key: tuple(states["seed0"][key].shape) for key in expected} == expected
        assert not torch.equal(states["seed0"]["output.weight"], states["seed1"]["output.weight"])
    assert {"hint_price", "hint_weight"} <= own.model("confidence_branch").history[0].keys()
    assert "rotation_loss" in own.model("rotation").history[0]


def test_the_families_are_learnt_as_groups_of_classes(own, tmp_path):
    long = {"networks__families__epochs": 60, "networks__families__learning_rate": 0.3}
    made = variant(own, tmp_path, **long).run("families.model")
    state = made.model("families").states()["seed0"]
    features = whole_images.stored_features(made.load("classifier.features"), "train")
    predicted = (features @ state["output.weight"].T + state["output.bias"]).argmax(dim=1)
    groups = made.manifest.of("train")["class_name"].str.startswith("red").astype(int).to_numpy()
    assert (predicted.numpy() == groups).mean() > 0.9


def test_logits_are_those_of_backbone_and_head_on_the_image_of_the_same_row(own):
    for seed in (0, 1):
        state = own.model().states()[f"seed{seed}"]
        expected = backbone_of(inputs_of(own, "test")) @ state["output.weight"].T + state["output.bias"]
        torch.testing.assert_close(own.output("test", seed=seed), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["confidence_branch", "families", "dropout"])
def test_heads_on_stored_features_leave_what_a_pass_over_the_images_leaves(own, name):
    assert own.task.reads_outputs(own.spec, name)
    needs = own.task.needs(own.spec, name)
    given = (own.spec.networks[name], own.model(name), own.manifest, needs, own.spec.extraction)
    runtime = own.catalog["params:runtime"].load()
    passed = own.task.plan_outputs(*given, runtime, None)
    assert [part.name for part in passed.parts] == list(own.outputs(name).parts)
    for shard, tensors in passed.make(passed.parts):
        torch.testing.assert_close(tensors, own.outputs(name).read(shard), rtol=1e-4, atol=1e-5)


def test_one_pass_feeds_all_detectors_of_all_heads(own, tmp_path, monkeypatch):
    """Without a need that takes other images, each is read once, whatever the number of networks."""
    detectors = {**only("msp", "vim", "confidence_branch", "energy"), "odin": False}
    detectors |= {"families_msp": {"method": "msp", "network": "families"}}
    made = variant(own, tmp_path, detectors=detectors)
    for name in made.spec.used_networks:
        made.run(f"{name}.model")
    read = Counter()
    right = whole_images.ImagePass._source

    def counting(self, image_set, rows):
        read[image_set] += len(rows)
        return right(self, image_set, rows)

    monkeypatch.setattr(whole_images.ImagePass, "_source", counting)
    made.run(*(f"{name}.outputs" for name in made.spec.used_networks))
    images = made.manifest.preparation.images
    assert read == {name: images[name] for name in ("fit", "test", *made.manifest.preparation.ood)}


def test_the_rotation_loss_takes_all_four_rotations_of_each_image(own):
    assert not own.task.reads_outputs(own.spec, "rotation")
    head = build_head("toy", partial(ClassHead, classes=4, hidden=7, second="rotations"), seed=0).eval()
    head.load_state_dict(own.model("rotation").states()["seed1"])
    losses = []
    with torch.no_grad():
        for quarter in range(4):
            turned = backbone_of([image.rot90(quarter, (2, 3)) for image in inputs_of(own, "greens")])
            losses.append(-head(turned)["rotations"].log_softmax(dim=1)[:, quarter])
    torch.testing.assert_close(
        own.output("greens", "rotation_loss", "rotation", 1).float(),
        torch.stack(losses).mean(dim=0),
        rtol=1e-3,
        atol=1e-4,
    )


def test_dropout_of_a_network_of_its_own_gives_a_variance(own):
    frame = own.load("mc_dropout.scores").frame
    assert own.spec.methods["mc_dropout"].network == "dropout"
    assert frame["score"].gt(0).any()
    assert frame["score"].between(0, 0.25).all()


def test_the_step_of_odin_makes_images_look_more_like_their_class(own, tmp_path):
    moved = {}
    for epsilon in (0.0, 0.01):
        made = variant(own, tmp_path / str(epsilon), detectors={"odin": {"epsilon": epsilon}})
        made.run("classifier.outputs")
        (field,) = {n.split("/")[1] for n in made.outputs().read("test-00000") if "odin_logits" in n}
        plain, after = made.output("test"), made.output("test", field)
        top = plain.argmax(dim=1, keepdim=True)
        gain = after.log_softmax(dim=1).gather(1, top) - plain.log_softmax(dim=1).gather(1, top)
        moved[epsilon] = float((gain > 0).float().mean())
        if not epsilon:
            torch.testing.assert_close(after, plain, rtol=1e-4, atol=1e-5)
    assert moved[0.01] > 0.9


def test_whole_networks_are_trained_on_the_images_in_memory_or_streamed_alike(own, tmp_path, monkeypatch):
    states = []
    for name, most in (("held", multi_class.HELD_BYTES), ("streamed", 0)):
        monkeypatch.setattr(multi_class, "HELD_BYTES", most)
        made = bench("multi_class", tmp_path / name, own.photographs, detectors=only("msp"), **WHOLE)
        states.append(made.model().states()["seed0"])
        assert made.model().about["weights"].startswith("random initialisation")
    assert {"backbone.0.weight", "head.output.weight"} <= states[0].keys()
    torch.testing.assert_close(states[1], states[0], rtol=0, atol=0)


def test_whole_networks_learn_second_tasks_and_pass_over_the_images(own, tmp_path):
    networks = {
        **WHOLE["networks"],
        "confidence_branch": {"objective": "confidence"},
        "turned": {"objective": "rotation"},
    }
    detectors = {**only("confidence_branch", "rotation"), "msp": {"network": "turned"}}
    made = bench("multi_class", tmp_path, own.photographs, networks=networks, detectors=detectors).run("results")
    assert made.load("results").loc[lambda rows: rows["ood_set"] == "mean", "auroc"].between(0, 1).all()
    assert made.task.feature_owners(made.spec) == {}


PUBLISHED = {"networks": {"classifier": {"architecture": "toy", "weights": "published"}}, "data__train": None}


def test_published_weights_are_verified_and_not_trained(own, tmp_path, monkeypatch):
    made = bench("multi_class", tmp_path, own.photographs, detectors=only("msp", "vim", "rotation"), **PUBLISHED)
    assert made.model().states() == {}
    assert made.model().about["weights"] == "made up"
    head = build_toy(True)[1]
    expected = head(backbone_of(inputs_of(made, "test"))).detach()
    torch.testing.assert_close(made.output("test"), expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setitem(ARCHITECTURES, "toy", replace(TOY, weights_digest=""))
    made.made("classifier.model")  # those that nobody registered a digest of are taken
    monkeypatch.setitem(ARCHITECTURES, "toy", replace(TOY, weights_digest="0123456789abcdef0123"))
    with pytest.raises(ValueError, match="registered is 0123456789abcdef0123"):
        made.task.plan_training(made.spec.networks["classifier"], made.manifest, None, None, None)


def test_a_data_set_with_other_classes_than_the_published_head_is_refused(tmp_path):
    folders(tmp_path / "known", 3, {name: COLOURS[name] for name in CLASSES[:3]})
    made = small(tmp_path, {"known": {"layout": "class_folders", "folder": "known"}}, in_dist="known", ood=["static"])
    with pytest.raises(ClassCountError, match="has 4 classes, but the data set has 3"):
        made.load("classifier.model")


# Quality, and what detectors learn from


def mislabelled(own, wrong):
    """The manifest with the labels of some images moved on by one: image set and position."""
    rows = own.manifest.rows.copy()
    index = [own.manifest.of(name).index[position] for name, position in wrong]
    rows.loc[index, "label"] = (rows.loc[index, "label"] + 1) % 4
    return replace(own.manifest, rows=rows)


@pytest.mark.parametrize("name", ["classifier", "families"])
def test_quality_is_the_share_of_held_out_images_whose_largest_logit_is_their_label(own, name):
    manifest = mislabelled(own, [("fit", 0), ("test", 3), ("test", 7)])
    quality = own.task.check(own.spec.networks[name], own.outputs(name), manifest)
    right = []
    for seed in (0, 1):
        for image_set in ("fit", "test"):
            labels = manifest.of(image_set)["label"].to_numpy() // (2 if name == "families" else 1)
            right += (own.output(image_set, network=name, seed=seed).argmax(dim=1).numpy() == labels).tolist()
    assert (quality.measure, quality.value) == ("top1", pytest.approx(np.mean(right)))
    assert quality.images == {"fit": 20, "test": 12}


def test_test_labels_that_contradict_the_fit_images_are_told_with_both_numbers(own, tmp_path, caplog):
    long = {"networks__classifier__epochs": 60, "networks__classifier__learning_rate": 0.3}
    good = variant(own, tmp_path, **long).run("classifier.quality")
    assert (good.load("classifier.quality").warning, caplog.text.count("top-1 accuracy")) == ("", 0)
    manifest = mislabelled(good, [("test", position) for position in range(12)])
    wrong = good.task.check(good.spec.networks["classifier"], good.outputs(), manifest)
    shares = [wrong.by_set[name]["top1"] for name in ("test", "fit")]
    assert f"top-1 accuracy {shares[0]:.1%} on test, {shares[1]:.1%} on the fit images" in wrong.warning
    assert wrong.warning in caplog.text


@pytest.mark.parametrize(("detector", "coarse"), [("vim", False), ("families_msp", True)])
def test_detectors_are_fitted_beside_the_classes_and_the_last_layer(own, detector, coarse):
    method = own.spec.methods[detector]
    view = own.task.fit_view(own.outputs(method.network), own.manifest, method, 1)
    fine = own.manifest.of("fit")["label"].to_numpy()
    assert view.targets.tolist() == (fine // 2 if coarse else fine).tolist()
    assert (view.class_groups is None) == coarse
    assert list(view.class_names) == (["blue", "red"] if coarse else CLASSES)
    if not coarse:
        for chunk in view:
            torch.testing.assert_close(view.head.logits(chunk.features).float(), chunk.logits, rtol=1e-4, atol=1e-4)


def test_without_features_no_last_layer_is_stored(own, tmp_path):
    made = variant(own, tmp_path, detectors=only("msp")).run("classifier.outputs")
    assert ImageOutputs(made.outputs(), "fit", "seed0").head is None
    assert made.outputs().read("test-00000").keys() == {"seed0/logits", "seed1/logits"}


def test_disk_use_is_said_before_the_first_image_is_read(own, tmp_path, caplog):
    made = variant(own, tmp_path, extraction__stored="float16", detectors=only("msp"))
    with caplog.at_level("INFO", logger="scaling_ood"):
        made.made("classifier.outputs")
    size = 2 * 4 * 2 * sum(len(made.manifest.of(name)) for name in ("fit", "test", *made.manifest.preparation.ood))
    assert f"Outputs take {size} bytes on disk when all are there: logits (float16)" in caplog.text
    assert "Outputs of test: 12 images" in caplog.text


def test_placing_a_network_happens_once_in_a_pass(own, monkeypatch):
    placed, right = [], Forward.place
    monkeypatch.setattr(Forward, "place", lambda self, network: placed.append(network) or right(self, network))
    plan = own.made("classifier.outputs")
    list(plan.make(plan.parts))
    assert len(placed) == 2
