"""The fairness of the rendered anomalies: what the inserting code puts into a scene is not anomalous for that alone."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from miniatures import rendering_workers
from miniatures.street import Label, StreetSpec, draw_street, street_folders
from scaling_ood.detectors import Outputs, build_detector
from scaling_ood.images.scenes import label_map
from scaling_ood.models.segmentation import build_segmenter, segmenter
from scaling_ood.models.upsampling import upsample
from scaling_ood.training.scenes import SceneSets, network_pixels
from scaling_ood.training.segmentation import Segmentation, SegmentationRecipe

pytestmark = pytest.mark.slow

NETWORK = "pspnet_efficientnet_lite0_short"
# As `miniature_street`, with a control.
SPEC = StreetSpec(training_images=60, validation_images=10, test_images=1, control_images=60)


class Drawn(list):
    """Rendered scenes as a training takes them."""

    def scene(self, index):
        return self[index]


def streets(prefix):
    """All scenes of the folders whose names begin like that, drawn in parallel."""
    folders = [name for name in street_folders(SPEC) if name.startswith(prefix)]
    names = [name for name in folders for _ in range(street_folders(SPEC)[name].images)]
    indices = [index for name in folders for index in range(street_folders(SPEC)[name].images)]
    with rendering_workers() as pool:
        return list(pool.map(partial(draw_street, SPEC), names, indices, chunksize=5))


def drawn(prefix):
    labels = label_map("streethazards")
    return Drawn((Image.fromarray(street.image), labels.apply(street.labels)) for street in streets(prefix))


@pytest.fixture(scope="module")
def trained():
    sets = SceneSets(drawn("train/images/training"), drawn("train/images/validation"), segmenter(NETWORK).preprocessing)
    recipe = SegmentationRecipe(epochs=5, batch_images=8)
    torch.set_num_threads(2)
    build = partial(build_segmenter, NETWORK, 13, seed=0, start="published", width=64)
    *_, last = Segmentation(sets, recipe, torch.device("cpu")).train({"a": build}, {"a": 0})
    torch.set_num_threads(1)
    assert max(row["validation_miou"] for row in last["history"]) > 0.25
    network = build()
    network.load_state_dict(last["models"]["a.best"])
    return network.eval()


@torch.inference_mode()
def scores(network, detector, image):
    pixels = network_pixels(Image.fromarray(image), None, 1000)[None]
    logits = network(segmenter(NETWORK).preprocessing.normalise(pixels))["logits"]
    return detector.score(Outputs(upsample(logits, image.shape[:2])))[0].numpy()


def test_an_inserted_known_object_scores_like_the_others_of_its_class(trained):
    detectors = {name: build_detector(name) for name in ("msp", "max_logit")}
    known = (Label.CAR, Label.PEDESTRIAN)
    found = {(name, kind, own): [] for name in detectors for kind in known for own in (True, False)}
    for street in streets("control/"):
        for title, detector in detectors.items():
            score = scores(trained, detector, street.image)
            for kind in known:
                for own in (True, False):
                    mask = (street.labels == kind) & (street.inserted() == own)
                    found[title, kind, own].append(score[mask])
    auroc = {}
    for title in detectors:
        for kind in known:
            inserted, others = (np.concatenate(found[title, kind, own]) for own in (True, False))
            assert len(inserted) > 1000
            assert len(others) > 1000
            is_inserted = np.arange(len(inserted) + len(others)) < len(inserted)
            auroc[title, kind.name] = 100 * roc_auc_score(is_inserted, np.concatenate([inserted, others]))
    # Of a class alone there are some sixty objects, so that its value moves by several points with the training.
    for title in detectors:
        assert np.mean([auroc[title, kind.name] for kind in known]) == pytest.approx(50, abs=5), auroc
