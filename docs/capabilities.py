"""Which capability is there in which setting: makes capabilities.md from the code.

Run: `python docs/capabilities.py` writes the page anew. A test compares the page with what the code says.

Whether a cell says yes is asked of the code: parameters are checked as those of a benchmark are, detectors are fitted
on numbers by chance. The reason is the code's own message, or stands in `REASONS` where that would help nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import ValidationError

from scaling_ood.configuration import ConfigLoader
from scaling_ood.detectors import (
    Given,
    LinearHead,
    Need,
    NotApplicableError,
    Outputs,
    OutputsList,
    build_detector,
    detector_class,
    detector_names,
    refuse_network,
)
from scaling_ood.images.scenes import label_map
from scaling_ood.models.segmentation.sources import segmenter_sources
from scaling_ood.models.sources import sources
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.setting import SettingSpec
from scaling_ood.parameters.weights import WEIGHTS
from scaling_ood.products.keys import NOT_MADE
from scaling_ood.products.preparation import Classes, Manifest, Preparation, Scenes
from scaling_ood.products.stored import StoredModel, StoredShards
from scaling_ood.tasks import Task, tasks
from scaling_ood.tasks.own_outputs import ENVIRONMENTS as OWN_OUTPUTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "capabilities.md"
YES = "yes"

Probe = Callable[[Task], str]
"""Says of a task why it cannot do something; nothing where it can."""

WHOLE = "the method is defined for whole images, not for pixels"
PIXELS = "the method is defined for pixels"
ONE_SIZE = "an image passes at the one size that belongs to the weights"
OWN_SIGMOID = "each class has a sigmoid of its own: none takes probability from another"
SEVERAL = "an image has no single class"
SEGMENTERS_ALONE = "it has segmenters alone"
NOT_YET = "not yet"
"""It would mean something, and nobody has written it."""

_NO_REASON = ("no such parameter", "Input should be")
"""Begin messages that only say that there is no such thing."""

SMP = "segmentation_models_pytorch (`smp:FOLDER`, `smp:ARCHITECTURE.ENCODER`)"

REASONS: dict[tuple[str, str], str] = {
    ("Curation by quality and by hand", "multi_label"): "of OOD sets; annotated images are not scraped",
    ("Curation by quality and by hand", "segmentation"): "annotated scenes are not scraped",
    ("Noise as an OOD set", "segmentation"): "in-distribution and anomalous pixels are of the same scenes",
    ("Detectors fitted on training images", "multi_label"): "the fit images judge the network too",
    ("Detectors fitted on training images", "segmentation"): "detectors are fitted on the validation scenes",
    ("A head trained on a frozen backbone", "segmentation"): "scenes change their size at every step of a training",
    ("Several test scales", "multi_class"): ONE_SIZE,
    ("Several test scales", "multi_label"): ONE_SIZE,
    ("timm (`timm:NAME`)", "segmentation"): "it has classifiers; as encoders they come with `smp:` (`tu-NAME`)",
    (SMP, "multi_class"): SEGMENTERS_ALONE,
    (SMP, "multi_label"): SEGMENTERS_ALONE,
    ("The last linear layer named", "segmentation"): "no detector reads features of pixels",
    ("A network with auxiliary rotations", "segmentation"): WHOLE,
    ("A network that rebuilds its input", "multi_class"): PIXELS,
    ("A network that rebuilds its input", "multi_label"): PIXELS,
    ("Coarse classes beside fine ones", "multi_label"): OWN_SIGMOID,
    ("Maps of the scores", "multi_class"): "an image has one score",
    ("Maps of the scores", "multi_label"): "an image has one score",
    ("autoencoder", "multi_class"): PIXELS,
    ("autoencoder", "multi_label"): PIXELS,
    ("confidence_branch", "multi_label"): NOT_YET,
    ("grouped_msp", "multi_label"): OWN_SIGMOID,
    ("grouped_msp", "segmentation"): NOT_YET,
    ("mahalanobis", "multi_label"): SEVERAL,
    ("rotation", "multi_label"): NOT_YET,
    ("temperature_scaling", "multi_label"): SEVERAL,
    ("temperature_scaling", "segmentation"): NOT_YET,
}
"""In words, where the code's own message would help nobody."""

IN_DIST = {"multi_class": "data_sets.miniature", "multi_label": "data.labelled", "segmentation": "data"}
"""Where YAML says what the in-distribution set is."""


STRATEGY = {"parameters": "soft", "globals": "soft"}


def parameters() -> dict[str, Any]:
    """Parameters of the built-in benchmark."""
    loader = ConfigLoader(str(ROOT / "conf"), "miniature", base_env="base", merge_strategy=STRATEGY)
    merged: dict[str, Any] = loader["parameters"]
    return merged


RAW = parameters()


def spec_of(task: Task, changes: Mapping[str, Any]) -> SettingSpec:
    """The built-in benchmark's setting with other values, by their place in YAML.

    Raises:
        ValidationError: They cannot be.
    """
    own, library = deepcopy(RAW[task.name]), deepcopy(RAW["data_sets"])
    for place, value in changes.items():
        first, *rest = place.split(".")
        inside = library if first == "data_sets" else own
        steps = rest if first == "data_sets" else [first, *rest]
        for step in steps[:-1]:
            inside = inside.setdefault(step, {})
        inside[steps[-1]] = value
    return task.spec.model_validate(own, context={"data_sets": library})


def parameter(place: str, value: Any, **alone: Any) -> Probe:
    """Can this value be given? `{shared}` stands for the network that all detectors share, `{in_dist}` for the set."""

    def probe(task: Task) -> str:
        only = {"networks": {task.spec.shared: RAW[task.name]["networks"][task.spec.shared]}, "detectors": {"msp": {}}}
        named = place.format(shared=f"networks.{task.spec.shared}", in_dist=IN_DIST[task.name])
        try:
            spec_of(task, {**deepcopy(only), **alone, named: value})
        except ValidationError as error:
            told = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            return told.partition(" cannot be: ")[2] or told
        return ""

    return probe


def weights(word: str) -> Probe:
    """Can the shared network's weights come from there?"""

    def probe(task: Task) -> str:
        untrained = {} if WEIGHTS[word].trains or task.spec.dense else {"data.train": None}
        return parameter("{shared}.weights", word, **untrained)(task)

    return probe


def detector(name: str, **options: Any) -> Probe:
    """Has the detector a meaning, as far as parameters can tell?"""

    def probe(task: Task) -> str:
        lines = {"odin": {}, name: options}
        try:
            found = spec_of(task, {"networks.dropped": {"dropout": 0.5}, "detectors": lines}).methods[name].gap
        except ValidationError as error:
            return str(error.errors()[0]["msg"])
        return found.removeprefix("not applicable: ")

    return probe


def network(**fields: Any) -> Probe:
    """Can there be such a network beside the shared one?"""
    return parameter("networks.another", fields)


def source(images: str, scenes: str = "") -> Probe:
    """Is there a source that has a network of that name?"""

    def probe(task: Task) -> str:
        if task.spec.dense:
            found = any(each.has(scenes or images) for each in segmenter_sources())
        else:
            found = any(each.has(images) for each in sources())
        return "" if found else "no such parameter"

    return probe


def field(name: str) -> Probe:
    """Has the shared network a parameter of that name?"""

    def probe(task: Task) -> str:
        spec = spec_of(task, {})
        return "" if name in type(spec.networks[spec.shared]).model_fields else "no such parameter"

    return probe


def tells_disk_use(task: Task) -> str:
    """Is the size of the outputs told before the first image is read?"""
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("scaling_ood")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        spec = spec_of(task, {})
        model = StoredModel(NOT_MADE, {}, [], Path("model.safetensors"), "")
        shared, needs = spec.networks[spec.shared], frozenset({"logits"})
        task.plan_outputs(shared, model, made_up(task), needs, spec.extraction, RuntimeSpec(device="cpu"), None)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return "" if any("on disk" in line for line in told) else "it is not told"


class Doubled(Need):
    """Stands for what a detector's own file adds."""

    name = "doubled"
    requires = frozenset({"logits"})

    def make(self, given: Given) -> torch.Tensor:
        """Twice the logits."""
        return 2 * given.outputs["logits"]


def own_need(task: Task) -> str:
    """Can a detector read something that has to be made of the network, and that nobody made before?"""
    spec = spec_of(task, {})
    try:
        made = build_detector("msp")
        made.needs = frozenset({Doubled()})
        refuse_network(made, spec.shared, spec.networks[spec.shared].gives, spec.dense)
    except NotApplicableError as reason:
        return str(reason)
    return ""


def maps(task: Task) -> str:
    """Are score maps drawn and kept?"""
    return "" if type(task).plan_maps is not Task.plan_maps else "there are none"


def packages(task: Task) -> str:
    """Can a detector be packaged with its network and a threshold?"""
    return "" if type(task).threshold is not Task.threshold else "there is no threshold"


def learns(task: Task) -> str:
    """Is there an image set to fit detectors on that is not tested on?"""
    return "" if task.fit_set in task.passed_sets(*_passed(task)) and task.fit_set != "test" else "there is none"


def _passed(task: Task) -> tuple[Any, Preparation]:
    spec = spec_of(task, {})
    return spec.networks[spec.shared], made_up(task).preparation


def own_outputs(task: Task) -> str:
    """Do the parameters that ship for it hold?"""
    loader = ConfigLoader(str(ROOT / "conf"), OWN_OUTPUTS[task.name], base_env="base", merge_strategy=STRATEGY)
    try:
        task.spec.model_validate(loader["parameters"][task.name])
    except ValidationError as error:
        return str(error)
    return ""


CAPABILITIES: dict[str, dict[str, Probe]] = {
    "Data": {
        "Size of a copy compared with the published one": parameter("{in_dist}.published", {"data_set": "imagenet"}),
        "Curation by quality and by hand": parameter("{in_dist}.curation", {"flags": "flags.csv"}),
        "Pictures that look alike are told": parameter("data.near_duplicates", True),
        "Photographs turned as EXIF says": parameter("data.orientation", "upright"),
        "Noise as an OOD set": parameter("data.ood", ["gaussian"]),
        "Outputs of one's own in place of images and a network": own_outputs,
        "Detectors fitted on images of their own": learns,
        "Detectors fitted on training images": parameter("data.fit", {"split": "train", "share": 0.1}),
    },
    "Networks": {
        "Published weights, head included": weights("published"),
        "Weights of a file": weights("checkpoint"),
        "A head trained on a frozen backbone": weights("trained_head"),
        "Everything trained, from published weights": weights("fine_tuned"),
        "Everything trained, from random weights": weights("trained"),
        "Several seeds": parameter("{shared}.seeds", 3),
        "Mixed-precision training": parameter("{shared}.precision", "bf16"),
        "The epoch chosen by validation": parameter("{shared}.best_epoch", "validation"),
        "A network is refused under a quality": parameter("{shared}.least_quality", 0.1),
        "A network that learns its confidence": network(objective="confidence"),
        "A network with auxiliary rotations": network(objective="rotation"),
        "A network that rebuilds its input": network(objective="reconstruction"),
        "Coarse classes beside fine ones": network(targets="coarse"),
    },
    "Sources of networks": {
        "torchvision (`resnet50`; `deeplabv3_resnet50`)": source("resnet50", "deeplabv3_resnet50"),
        "timm (`timm:NAME`)": source("timm:resnet50"),
        "Hugging Face (`hf:FOLDER`, `hf:OWNER/NAME`)": source("hf:mine"),
        SMP: source("smp:mine"),
        "ONNX (`onnx:FILE`)": source("onnx:mine.onnx"),
        "torch.export (`pt2:FILE`)": source("pt2:mine.pt2"),
        "TorchScript (`torchscript:FILE`)": source("torchscript:mine.pt"),
        "Preprocessing stated over the source's": field("preprocessing"),
        "The last linear layer named": field("head"),
        "Classes in the order of the head": field("class_order"),
    },
    "Extraction": {
        "ODIN": detector("odin"),
        "A method on ODIN's logits (`logits_of`)": detector("stepped", method="max_logit", logits_of="odin"),
        "A need of a detector's own: a gradient, a feature map": own_need,
        "MC dropout": detector("mc_dropout", network="dropped"),
        "Several test scales": parameter("{shared}.scales", [60, 80]),
        "Mixed precision": parameter("extraction.precision", "bf16"),
        "TF32, where a GPU has it": parameter("extraction.precision", "tf32"),
        "Outputs stored in half precision": parameter("extraction.stored", "float16"),
        "Of test images scores alone are stored": parameter("extraction.keep", "scores"),
        "The disk that outputs take is told": tells_disk_use,
    },
    "Results": {
        "Both positive classes in one table": parameter("reporting.positive_class", "both"),
        "Maps of the scores": maps,
        "A detector packaged to be served": packages,
    },
}


def made_up(task: Task) -> Manifest:
    """A manifest of images that nobody will read."""
    known = label_map("streethazards").classes
    classes = known if task.spec.dense else tuple(f"class {number}" for number in range(len(known)))
    sets = (*task.training_sets, task.fit_set, "test", "other")
    pairs = [(name, row % len(classes)) for name in dict.fromkeys(sets) for row in range(IMAGES)]
    rows = pd.DataFrame(pairs, columns=["image_set", "label"]).assign(height=64, width=64)
    record = Preparation(
        benchmark="none",
        setting=task.name,
        in_dist="mine",
        ood=("other",),
        places={},
        classes=classes,
        sources={},
        images=dict.fromkeys(sets, IMAGES),
        digests={},
        of_classes=Classes(groups=("a", "b"), group_of_class=tuple(k % 2 for k in range(len(classes)))),
        scenes=Scenes(layout="streethazards", labels="streethazards", anomalous_share=0.1, without_anomaly=0),
    )
    return Manifest(rows, record)


IMAGES, WIDTH = 600, 16


def view_of(task: Task, method: Any) -> OutputsList:
    """What a detector of the setting may learn from, with outputs by chance."""
    manifest = made_up(task)
    outputs = StoredShards(NOT_MADE, {"targets": "classes", "seeds": [0]}, {}, Path())
    known = task.fit_view(outputs, manifest, method, 0)  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(0)
    classes = len(manifest.preparation.classes)
    of_class = torch.arange(IMAGES) % classes
    features = torch.rand(IMAGES, WIDTH, generator=generator)
    logits = 2 * torch.nn.functional.one_hot(of_class, classes) + torch.randn(IMAGES, classes, generator=generator)
    head = (
        None if task.spec.dense else LinearHead(torch.rand(classes, WIDTH, generator=generator), torch.zeros(classes))
    )
    chunk = Outputs(logits=logits, features=features)
    return OutputsList([chunk], known.class_groups, known.targets, head, known.class_names)


def gap_of(task: Task, name: str) -> str:
    """Why a detector has no meaning in a setting of the built-in benchmark; nothing where it has one."""
    method = spec_of(task, {"detectors": {name: {}}}).methods[name]
    if method.gap:
        return method.gap.removeprefix("not applicable: ")
    try:
        method.build().fit(view_of(task, method))
    except NotApplicableError as reason:
        return str(reason)
    return ""


def cell(task: Task, capability: str, reason: str) -> str:
    """Yes, or the reason.

    Raises:
        ValueError: A reason is given for what is there.
    """
    words = REASONS.get((capability, task.name))
    if words and not reason:
        raise ValueError(f"{capability} is there in {task.name}: take its reason out")
    said = NOT_YET if reason.startswith(_NO_REASON) else reason.partition(" (")[0]
    return (words or said) if reason else YES


def page() -> str:
    """The page."""
    names = [task.name for task in tasks()]
    lines = [
        "# Capabilities",
        "",
        "What is there in which setting, or why not. *Not yet*: it would mean something, and nobody has written it.",
        "`python docs/capabilities.py` makes this page from the code, and a test compares the two.",
    ]
    header = f"| | {' | '.join(f'`{name}`' for name in names)} |"
    rule = f"|---|{'---|' * len(names)}"
    for title, rows in CAPABILITIES.items():
        lines += ["", f"## {title}", "", header, rule]
        for capability, probe in rows.items():
            lines.append(f"| {capability} | {' | '.join(cell(task, capability, probe(task)) for task in tasks())} |")
    told = "On the networks of the built-in benchmark; [detectors.md](detectors.md) says what they compute."
    lines += ["", "## Detectors", "", told, "", header, rule]
    # Those of other packages are described there.
    for name in (name for name in detector_names() if not detector_class(name).package):
        found = [cell(task, name, gap_of(task, name)) for task in tasks()]
        lines.append(f"| [`{name}`](detectors.md#{name}) | {' | '.join(found)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
