"""What every setting must do: from photographs to tables, whatever detectors are on."""

import html
import pickle
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bench import bench, variant
from helpers.toys import TOYS
from kedro.io.core import DatasetError

from scaling_ood.datasets import CheckpointDataset, ShardsDataset
from scaling_ood.detectors import detector_names
from scaling_ood.models import ClassHead, Forward, build_network
from scaling_ood.models.segmentation import build_segmenter
from scaling_ood.products.records import METRICS, RESULT_COLUMNS
from scaling_ood.tasks import WrongNetworkError, tasks

SETTINGS = [task.name for task in tasks()]
BOUNDS = [f"{metric}_{side}" for metric in METRICS for side in ("low", "high")]


@pytest.fixture(params=SETTINGS)
def whole(request, benches):
    return benches(request.param)


def closely(one, other, **tolerance):
    """Compare two stored products, part by part."""
    assert list(one.parts) == list(other.parts)
    for name in one.parts:
        torch.testing.assert_close(one.read(name), other.read(name), **(tolerance or {"rtol": 1e-4, "atol": 1e-5}))


def test_every_setting_has_a_toy():
    assert sorted(TOYS) == SETTINGS


@pytest.mark.parametrize(
    ("setting", "place", "data_set"),
    [("multi_label", "data__labelled__published", "voc"), ("segmentation", "data__published", "streethazards")],
)
def test_a_copy_of_another_size_than_was_published_is_told(benches, tmp_path, setting, place, data_set):
    made = variant(benches(setting), tmp_path, **{place: {"data_set": data_set}}).run("manifest")
    told = made.manifest.preparation.found.differences
    assert told
    assert all(each.startswith(f"{made.manifest.preparation.in_dist}: {data_set} (") for each in told)


# Results


def test_every_detector_has_numbers_or_a_reason_in_every_row(whole):
    results = whole.load("results")
    assert tuple(results.columns) == RESULT_COLUMNS
    assert list(dict.fromkeys(results["detector"])) == list(whole.spec.methods)
    assert set(detector_names()) <= set(results["detector"])
    gaps = results["gap"] != ""
    assert gaps.any()
    assert not gaps.all()
    assert results.loc[gaps, "gap"].str.startswith("not applicable: ").all()
    assert results.loc[gaps, [*METRICS, *BOUNDS]].isna().all(axis=None)
    assert results.loc[~gaps, [*METRICS, *BOUNDS]].notna().all(axis=None)
    rows = {name: own[["ood_set", "aggregation", "positive_class"]].to_numpy().tolist() for name, own in by(results)}
    assert all(own == rows["msp"] for own in rows.values())
    assert set(results["ood_set"]) > {*whole.manifest.preparation.ood, "mean"}.difference({"mean"})


def by(results):
    return results.groupby("detector", sort=False)


def test_every_row_says_whose_it_is(whole):
    results = whole.load("results")
    for column, expected in (("benchmark", "toy"), ("setting", whole.setting), ("seeds", 2), ("fpr_rule", "nearest")):
        assert set(results[column]) == {expected}
    for name, own in by(results):
        network = whole.spec.methods[name].network
        assert set(own["network"]) == {network}
        assert set(own["model"]) == {whole.spec.networks[network].architecture}
        assert set(own["targets"]) == {getattr(whole.spec.networks[network], "targets", "classes")}


def test_the_report_shows_every_detector_every_gap_and_what_was_measured(whole):
    files, results = whole.load("report"), whole.load("results")
    report, summary = files["report.html"], files["results.txt"]
    assert report.startswith("<!")
    for name in whole.spec.methods:
        assert name in report
        assert name in summary
    shown = html.unescape(report)
    for reason in results.loc[results["gap"] != "", "gap"].unique():
        assert reason in shown
    assert whole.manifest.preparation.digests["test"] in report
    assert all(content is not None for content in files.values())
    assert "overview" in files


def test_of_several_seeds_results_are_the_mean(whole):
    metrics, results = whole.load("metrics"), whole.load("results")
    assert set(metrics["seed"]) == {0, 1}
    if "ood_set" not in metrics:  # a row per scene
        return
    chosen = metrics[(metrics["detector"] == "msp") & (metrics["ood_set"] == whole.manifest.preparation.ood[0])]
    own = results[(results["detector"] == "msp") & (results["ood_set"] == whole.manifest.preparation.ood[0])]
    for row in own.itertuples():
        values = chosen.loc[chosen["positive_class"] == row.positive_class, "auroc"]
        assert len(values) == 2
        assert row.auroc == pytest.approx(values.mean())
        assert row.auroc_sd == pytest.approx(values.std())


# Runs


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A benchmark of few detectors; drawing the figures of all of them takes long."""
    made = {}

    def one(setting):
        if setting not in made:
            detectors = {"energy": {"temperature": 2.0}, "autoencoder": {"network": TOYS[setting].shared}}
            made[setting] = bench(setting, tmp_path_factory.mktemp(f"few_{setting}"), detectors=detectors)
            made[setting].run("runs")
        return made[setting]

    return one


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_run_of_a_detector_is_flat_and_has_its_numbers_by_set(few, setting):
    run, rows = few(setting).records("runs")["energy"], few(setting).load("results")
    tags = {
        "kind": "detector",
        "setting": setting,
        "benchmark": "toy",
        "detector": "energy",
        "gap": "",
        "device": "cpu",
    }
    assert run.tags.items() >= tags.items()
    assert run.name == f"{setting}.energy"
    assert run.tags["training_run"] == f"run of {setting}.{TOYS[setting].shared}.training"
    assert all(isinstance(value, str | int | float | bool) for value in run.parameters.values())
    assert run.parameters["detector.temperature"] == 2.0
    assert all(np.isfinite(value) for value in run.metrics.values())
    assert next(iter(run.metrics)).startswith("auroc."), "MLflow's comparison opens on the first"
    shown = rows[(rows["detector"] == "energy") & rows["aggregation"].isin(["per_image", "pooled"])]
    if shown["aggregation"].nunique() > 1:
        shown = shown[shown["aggregation"] == "per_image"]
    first = shown[shown["positive_class"] == shown["positive_class"].iloc[0]]
    for row in first.to_dict("records"):
        assert [run.metrics[f"{metric}.{row['ood_set']}"] for metric in METRICS] == [row[metric] for metric in METRICS]
    assert few(setting).load(f"{TOYS[setting].shared}.quality").value in run.metrics.values()
    assert run.figures
    assert len(run.tables["results"]) == len(rows) / 2


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_run_of_a_gap_has_its_reason_and_no_number(few, setting):
    run = few(setting).records("runs")["autoencoder"]
    assert run.tags["gap"].startswith("not applicable: it takes reconstruction_error")
    assert not [name for name in run.metrics if name.startswith(METRICS)]
    assert run.figures == {}


def test_parameters_of_runs_have_the_same_names_in_all_settings(few):
    names = [set(few(setting).records("runs")["energy"].parameters) for setting in SETTINGS]
    assert names == [names[0]] * len(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_run_of_a_training_has_a_curve_per_seed_and_quantity(few, setting):
    own, network = few(setting), TOYS[setting].shared
    run, model = own.records("trainings")[network], own.model()
    assert run.name == f"{setting}.{network}.training"
    assert (run.tags["kind"], run.tags["model_key"]) == ("training", model.origin.key)
    quantities = set(model.history[0]) - {"variant", "epoch", "seconds"}
    assert run.curves.keys() == {f"{quantity}.seed{seed}" for quantity in quantities for seed in (0, 1)}
    assert {len(curve) for curve in run.curves.values()} == {3}
    assert run.metrics["training_seconds"] == pytest.approx(sum(row["seconds"] for row in model.history))
    if own.task.validated:
        best = [max(run.curves[f"{own.task.validated}.seed{seed}"]) for seed in (0, 1)]
        assert run.metrics[f"best_{own.task.validated}"] == pytest.approx(sum(best) / 2)
    assert all(isinstance(value, str | int | float | bool) or value is None for value in run.parameters.values())


# Long work


def test_a_second_run_computes_nothing(whole, tmp_path, monkeypatch):
    networks = list(whole.spec.used_networks)
    whole.run(*(f"{name}.quality" for name in networks))
    again = variant(whole, tmp_path)

    def refuse(*_):
        raise AssertionError("a network was run again")

    monkeypatch.setattr(Forward, "place", refuse)
    again.run(*(f"{name}.quality" for name in networks), "msp.scores")
    for name in networks:
        assert again.model(name).sha256 == whole.model(name).sha256
        assert again.outputs(name).parts == whole.outputs(name).parts


def test_a_killed_extraction_goes_on_with_what_is_missing(whole, tmp_path):
    plan, asked = whole.made(f"{whole.shared}.outputs"), []

    def watched(missing, most=None):
        asked.append([part.name for part in missing])
        for number, made in enumerate(plan.make(missing)):
            if number == most:
                raise RuntimeError("killed")
            yield made

    dataset = ShardsDataset(filepath=str(tmp_path / "outputs"))
    with pytest.raises(DatasetError, match="killed"):
        dataset.save(replace(plan, make=lambda missing: watched(missing, 2)))
    with pytest.raises(DatasetError, match="not finished"):
        dataset.load()
    dataset.save(replace(plan, make=watched))
    names = [part.name for part in plan.parts]
    assert asked == [names, names[2:]]
    closely(dataset.load(), whole.outputs())


def test_a_lost_shard_is_made_again(whole, tmp_path):
    expected = whole.outputs()
    again = variant(whole, tmp_path)
    name = next(name for name in expected.parts if name.startswith("test-"))
    (again.outputs().folder / f"{name}.safetensors").unlink()
    again.run(f"{whole.shared}.outputs")
    closely(again.outputs(), expected)


def test_a_training_that_goes_on_from_any_epoch_ends_with_the_same_weights(whole, tmp_path):
    plan = whole.made(f"{whole.shared}.model")
    for epochs in (1, 4):
        dataset = CheckpointDataset(filepath=str(tmp_path / str(epochs)))

        def killed(state, most=epochs):
            for number, after in enumerate(plan.run(state)):
                if number == most:
                    raise RuntimeError("killed")
                yield after

        with pytest.raises(DatasetError, match="killed"):
            dataset.save(replace(plan, run=killed))
        dataset.save(plan)
        for name, state in whole.model().states().items():
            torch.testing.assert_close(dataset.load().states()[name], state, rtol=0, atol=0)


def test_another_process_can_make_any_part(whole):
    names = [f"{name}.outputs" for name in whole.spec.used_networks]
    names += [f"{name}.features" for name, owner in whole.task.feature_owners(whole.spec).items() if name == owner]
    for name in names:
        plan, stored = whole.made(name), whole.load(name)
        part = plan.parts[-1]
        ((made, tensors),) = pickle.loads(pickle.dumps(plan.make))([part])
        assert made == part.name
        torch.testing.assert_close(tensors, stored.read(made), rtol=1e-4, atol=1e-5)


def test_planning_reads_no_image(whole, monkeypatch):
    products = ["model", "outputs"]
    for product in products:
        whole.load(f"{whole.shared}.{product}")

    def refuse(*_):
        raise AssertionError("an image was read")

    monkeypatch.setattr("PIL.Image.open", refuse)
    for product in products:
        whole.made(f"{whole.shared}.{product}")


# What changes nothing, and what does


def test_batches_workers_and_memory_order_change_neither_keys_nor_outputs(whole, tmp_path):
    whole.load("msp.scores")
    runtime = {"device": "cpu", "batch_images": 3, "workers": 1, "channels_last": True}
    other = variant(whole, tmp_path, **{f"runtime__{name}": value for name, value in runtime.items()})
    assert other.stale() == set()
    plan = other.made(f"{whole.shared}.outputs")
    parts = [part for part in plan.parts if part.name.startswith("test-")]
    for name, tensors in plan.make(parts):
        torch.testing.assert_close(tensors, whole.outputs().read(name), rtol=1e-3, atol=1e-4)


def test_the_size_of_shards_changes_no_score(whole, tmp_path):
    whole.load("max_logit.scores")
    large = variant(whole, tmp_path, extraction__shard_images=100).run("max_logit.measured")
    assert len(large.outputs().parts) < len(whole.outputs().parts)
    for one, other in ((large.load("max_logit.measured"), whole.load("max_logit.measured")),):
        np.testing.assert_allclose(one.results[list(METRICS)], other.results[list(METRICS)], rtol=1e-4, atol=1e-4)


def test_half_precision_takes_half_the_disk_and_variances_stay_in_single(whole, tmp_path):
    half = variant(whole, tmp_path, extraction__stored="float16").run(f"{whole.shared}.outputs", "max_logit.scores")
    for name in (name for name in half.outputs().parts if name.startswith("test-")):
        tensors, full = half.outputs().read(name), whole.outputs().read(name)
        for field, tensor in tensors.items():
            wanted = torch.float32 if "posterior_variance" in field else torch.float16
            assert tensor.dtype == wanted
            torch.testing.assert_close(tensor.float(), full[field], rtol=2e-3, atol=2e-3)
    assert half.outputs().about["stored"] == "float16"


def test_mixed_precision_is_recorded_and_moves_outputs_little(whole, tmp_path):
    name = f"{whole.shared}.outputs"
    mixed = variant(whole, tmp_path, extraction__precision="bf16").run(name, "max_logit.measured")
    assert mixed.outputs().about["precision"] == "bf16"
    shard = next(name for name in mixed.outputs().parts if name.startswith("test-"))
    moved = 0
    for field, tensor in mixed.outputs().read(shard).items():
        if "/logits" in field:
            full = whole.outputs().read(shard)[field]
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, full, rtol=0.1, atol=0.1 * float(full.abs().max()))
            moved += int((tensor != full).sum())
    assert moved


def test_another_seed_is_another_network_alone(whole, tmp_path):
    networks = {f"networks__{whole.shared}__seeds": [1]}
    alone = variant(whole, tmp_path, **networks).run(f"{whole.shared}.outputs")
    own, both = alone.model().states(), whole.model().states()
    assert own.keys() == {"seed1"}
    torch.testing.assert_close(own["seed1"], both["seed1"], rtol=0, atol=0)


# Networks


def test_a_wrong_network_is_refused_before_any_score(whole, tmp_path):
    quality = whole.load(f"{whole.shared}.quality")
    strict = variant(whole, tmp_path, **{f"networks__{whole.shared}__least_quality": 1.0})
    shutil.rmtree(tmp_path / f"products/{whole.setting}.msp.scores", ignore_errors=True)
    assert quality.value < 1
    assert quality.least == 0
    with pytest.raises(WrongNetworkError, match=rf"^{whole.setting}: .* is under the 100\.0% .*\(least_quality\)"):
        strict.run("msp.scores")
    assert not strict.catalog[strict.full("msp.scores")].exists()
    just = {f"networks__{whole.shared}__least_quality": max(0.0, quality.value - 0.3)}
    variant(whole, tmp_path / "just", **just).run(f"{whole.shared}.quality")


def given_network(setting):
    if setting == "segmentation":
        return build_segmenter("pspnet_toy", 2, seed=5, start="random", width=8).eval()
    classes = 4 if setting == "multi_class" else 3
    return build_network("toy", partial(ClassHead, classes=classes), seed=5, start="random").eval()


def file_of(network):
    """The weights as people publish them: below a common prefix, the last layer by its own name."""
    state = {name.replace("head.output.", "head."): tensor for name, tensor in network.state_dict().items()}
    return {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}


@pytest.mark.parametrize("setting", SETTINGS)
def test_weights_of_a_file_are_used_as_they_are(setting, tmp_path):
    shared, network = TOYS[setting].shared, given_network(setting)
    own = {**TOYS[setting].parameters["networks"][shared], "weights": "checkpoint", "seeds": [0], "least_quality": 0.0}
    networks = {shared: own, "confidence_branch": {"objective": "confidence"}}
    changes = {
        "networks": {shared: own} if setting == "multi_label" else networks,
        "detectors": {"msp": {}, "confidence_branch": {}},
        **({"data__train": None} if setting != "segmentation" else {}),
    }
    made = bench(setting, tmp_path, **changes)
    made.products.mkdir()
    torch.save(file_of(network), made.products / f"{setting}.checkpoint.pth")
    made.run("report")
    told = made.outputs().about["weights"]
    assert made.load("checkpoint").sha256 in told
    results = made.load("results")
    assert results.loc[results["detector"] == "msp", "auroc"].notna().all()
    reason = "takes confidence" if setting == "multi_label" else "this benchmark trains none"
    assert results.loc[results["detector"] == "confidence_branch", "gap"].str.contains(reason).all()
    with torch.no_grad():
        expected = network(first_input(made))["logits"]
    stored = made.outputs().read("test-00000")
    found = stored["00000/seed0/logits/0"] if setting == "segmentation" else stored["seed0/logits"][:1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def first_input(made):
    """Network input (1, 3, H, W) of the first test image, by hand."""
    (file,) = made.manifest.files(made.manifest.of("test").head(1))
    if made.setting == "segmentation":
        pixels = torch.from_numpy(np.asarray(_image(file.path), dtype=np.float32)).permute(2, 0, 1) / 255
        return ((pixels - 0.5) / 0.5)[None]
    # The registered preprocessing: the central 8 x 8 pixels of 10 x 12, mean = std = 0.5.
    pixels = np.asarray(_image(file.path), dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
    return torch.from_numpy((pixels - 0.5) / 0.5)[None]


def _image(path):
    from PIL import Image

    with Image.open(path) as image:
        return image.copy()


# Keys

CHANGES = [
    ("multi_class", "networks__rotation__rotation_weight", 0.5, {"rotation.model"}),
    ("multi_class", "networks__confidence_branch__budget", 0.4, {"confidence_branch.model"}),
    ("multi_class", "networks__rotation__least_quality", 0.1, set()),
    ("multi_class", "networks__rotation__width", 9, {"rotation.model"}),
    ("multi_class", "detectors__odin", {"epsilon": 0.01}, {"classifier.outputs"}),
    ("multi_class", "detectors__energy", {"temperature": 9.0}, {"energy.scores"}),
    ("multi_class", "detectors__msp", False, set()),
    ("multi_class", "data__most_shared", 0.5, set()),
    ("multi_label", "networks__classifier__width", 8, {"classifier.model"}),
    ("multi_label", "detectors__mc_dropout", {"passes": 5}, {"classifier.outputs"}),
    ("multi_label", "detectors__isolation_forest", {"trees": 11}, {"isolation_forest.scores"}),
    ("multi_label", "data__fit", {"split": "val", "share": 0.4}, {"manifest"}),
    ("segmentation", "networks__autoencoder__epochs", 3, {"autoencoder.model"}),
    ("segmentation", "networks__segmenter__label_stride", 2, {"segmenter.model", "confidence_branch.model"}),
    ("segmentation", "networks__segmenter__scales", [40, 48], {"segmenter.outputs", "confidence_branch.outputs"}),
    ("segmentation", "networks__confidence_branch__budget", 0.4, {"confidence_branch.model"}),
    (
        "segmentation",
        "extraction__precision",
        "bf16",
        {f"{n}.outputs" for n in ("segmenter", "confidence_branch", "autoencoder")},
    ),
    ("segmentation", "reporting__examples", 2, set()),
]


@pytest.mark.parametrize(
    ("setting", "name", "value", "stale"),
    CHANGES,
    ids=lambda each: str(sorted(each) if isinstance(each, set) else each)[:40],
)
def test_a_change_makes_stale_what_depends_on_it_and_nothing_else(benches, tmp_path, setting, name, value, stale):
    of = benches(setting)
    of.load("results")
    assert of.stale() == set()
    assert variant(of, tmp_path, **{name: value}).stale() == stale


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_positive_class_is_a_matter_of_measuring(benches, tmp_path, setting):
    of = benches(setting)
    of.load("results")
    other = variant(of, tmp_path, reporting__positive_class="in_dist")
    assert other.stale() == {f"{name}.measured" for name in of.spec.methods}


@pytest.mark.parametrize("setting", SETTINGS)
def test_other_images_make_stale_what_saw_them(benches, tmp_path, setting):
    of = benches(setting)
    of.load("results")
    for image_set, seen in (("train", True), ("test", False)):
        (file,) = of.manifest.files(of.manifest.of(image_set).head(1))
        changed, own = Path(file.path).relative_to(of.photographs), tmp_path / image_set
        other = variant(of, own)
        shutil.copytree(of.photographs, own / "photographs")
        image = _image(own / "photographs" / changed)
        image.putpixel((5, 5), (1, 2, 3))
        image.save(own / "photographs" / changed)
        other = type(of)(setting, own / "photographs", other.products, of.parameters).run("manifest")
        assert (f"{of.shared}.model" in other.stale() or f"{of.shared}.features" in other.stale()) == seen
        assert other.stale()
