"""Small pieces of the multi-label setting that the stages take, made by the stages before them."""

import pytest
from label_toys import (
    DETECTORS,
    EXTRACTION,
    IDENTITY,
    RUNTIME,
    data_sets,
    data_spec,
    label_model_spec,
    write_photographs,
)
from scaling_ood.pipelines.data_preparation.label_nodes import prepare_label_manifest
from scaling_ood.pipelines.model_training.label_nodes import plan_label_features, train_label_heads
from scaling_ood.pipelines.score_extraction.label_nodes import check_map, fit_and_score_labels, plan_label_outputs
from toy_benchmark import TOY, TOY_NETWORK

from scaling_ood.datasets import CheckpointDataset, ShardsDataset
from scaling_ood.models import ARCHITECTURES


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("labelled_photographs")
    write_photographs(root)
    return str(root)


@pytest.fixture(scope="module")
def prepared(data_root):
    return prepare_label_manifest(data_root, data_sets(), data_spec(), IDENTITY, RUNTIME)


@pytest.fixture(scope="module")
def manifest(prepared):
    return prepared[0]


@pytest.fixture(scope="module")
def preparation(prepared):
    return prepared[2]


@pytest.fixture(scope="module")
def unlabelled(data_root):
    """Manifest and record of a benchmark whose test images have no public labels."""
    challenge = data_spec(fit={"split": "val"}, test={"split": "test"})
    return prepare_label_manifest(data_root, data_sets(), challenge, IDENTITY, RUNTIME)


@pytest.fixture(scope="module")
def spec():
    """The model; while it is in use, the toy's architectures are registered."""
    with pytest.MonkeyPatch.context() as registry:
        registry.setitem(ARCHITECTURES, "toy", TOY)
        registry.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)
        yield label_model_spec()


@pytest.fixture(scope="module")
def make_features(tmp_path_factory):
    """Cached features of a benchmark."""

    def make(manifest, preparation, spec):
        dataset = ShardsDataset(filepath=str(tmp_path_factory.mktemp("features")))
        dataset.save(plan_label_features(manifest, preparation, spec, RUNTIME))
        return dataset.load()

    return make


@pytest.fixture(scope="module")
def make_model(tmp_path_factory, make_features):
    """The trained heads of a benchmark."""

    def make(manifest, preparation, spec):
        features = make_features(manifest, preparation, spec)
        dataset = CheckpointDataset(filepath=str(tmp_path_factory.mktemp("model")))
        dataset.save(train_label_heads(features, manifest, preparation, spec, RUNTIME, IDENTITY))
        return dataset.load()

    return make


@pytest.fixture(scope="module")
def make_outputs(tmp_path_factory):
    """What one forward pass leaves."""

    def make(model, manifest, preparation, spec, detectors=DETECTORS, extraction=EXTRACTION, runtime=RUNTIME):
        dataset = ShardsDataset(filepath=str(tmp_path_factory.mktemp("outputs")))
        dataset.save(plan_label_outputs(model, manifest, preparation, spec, extraction, detectors, runtime, IDENTITY))
        return dataset.load()

    return make


@pytest.fixture(scope="module")
def features(manifest, preparation, spec, make_features):
    return make_features(manifest, preparation, spec)


@pytest.fixture(scope="module")
def model(manifest, preparation, spec, make_model):
    return make_model(manifest, preparation, spec)


@pytest.fixture(scope="module")
def outputs(model, manifest, preparation, spec, make_outputs):
    return make_outputs(model, manifest, preparation, spec)


@pytest.fixture(scope="module")
def accuracy(outputs, manifest, preparation, spec):
    return check_map(outputs, manifest, preparation, spec, IDENTITY)


@pytest.fixture(scope="module")
def score(outputs, accuracy, manifest, preparation, spec):
    """Scores of one detector."""

    def run(detector, **changes):
        given = {
            "outputs": outputs,
            "accuracy": accuracy,
            "manifest": manifest,
            "preparation": preparation,
            "spec": spec,
            "extraction": EXTRACTION,
            "detectors": DETECTORS,
            "identity": IDENTITY,
            "options": DETECTORS.get(detector, {}),
            "detector": detector,
        }
        return fit_and_score_labels(**(given | changes))

    return run
