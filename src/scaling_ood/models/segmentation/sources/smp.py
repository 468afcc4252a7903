"""Networks of segmentation_models_pytorch: `smp:FOLDER`, as `save_pretrained` writes it, or `smp:ARCHITECTURE.ENCODER`.

The second form is for weights of a file. What images its encoders want stands on the hub alone: `preprocessing` of the
network has to say `mean` and `std`.
"""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from torch import nn

from scaling_ood.models.checkpoints import fitting_state, read_checkpoint
from scaling_ood.models.files import digest_of_files
from scaling_ood.models.segmentation.sources import SegmenterSource
from scaling_ood.models.segmentation.whole import WholeSegmenter
from scaling_ood.optional import library
from scaling_ood.wording import did_you_mean, listed

SMP = "smp:"
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


@lru_cache(maxsize=8)
def smp_segmenter(name: str) -> WholeSegmenter:
    """A network of segmentation_models_pytorch.

    Raises:
        ValueError: There is no such folder, architecture or encoder; or the package is not installed.
    """
    library("segmentation_models_pytorch", "a network of segmentation_models_pytorch", "smp")
    own = name.removeprefix(SMP)
    folder = Path(own).expanduser()
    if folder.exists() or "/" in own:
        return _of_folder(name, folder)
    architecture, _, encoder = own.partition(".")
    network = partial(_network, {"arch": architecture, "encoder_name": encoder})
    _try(name, network)
    return WholeSegmenter(lambda classes, _: network(classes), preprocessing=None)


def _of_folder(name: str, folder: Path) -> WholeSegmenter:
    inside = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    if lacking := [file for file in (_CONFIG, _WEIGHTS) if file not in inside]:
        held = f" (it holds: {listed(inside, most=5)})" if inside else ""
        raise ValueError(f"'{name}': {folder} has no {' and no '.join(lacking)}, which save_pretrained writes{held}")
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    kind = str(config.pop("_model_class", ""))
    classes = int(config.pop("classes", 1))
    options = {key: value for key, value in config.items() if key not in ("encoder_weights", "activation")}
    network = partial(_network, {"arch": kind.lower(), **options})
    _try(name, network)
    digest = digest_of_files([folder / _CONFIG, folder / _WEIGHTS])

    def build(wanted: int, pretrained: bool) -> nn.Module:
        built = network(classes if pretrained else wanted)
        if pretrained:
            built.load_state_dict(fitting_state(built, read_checkpoint(folder / _WEIGHTS)))
        return built

    return WholeSegmenter(
        build,
        preprocessing=None,
        classes=classes,
        weights=f"segmentation_models_pytorch, {folder.name} ({kind}, {digest})",
        weights_digest=digest,
        identity=f"{SMP}{digest}",
        files=(folder / _CONFIG, folder / _WEIGHTS),
    )


def _network(options: dict[str, Any], classes: int) -> nn.Module:
    import segmentation_models_pytorch as smp

    built: nn.Module = smp.create_model(**options, encoder_weights=None, classes=classes)
    return built


def _try(name: str, network: Any) -> None:
    """Make sure that there is such a network.

    Raises:
        ValueError: There is none; names the nearest and all.
    """
    import segmentation_models_pytorch as smp

    options = network.args[0]
    if options["arch"] not in smp.MODEL_ARCHITECTURES_MAPPING:
        known = did_you_mean(options["arch"], smp.MODEL_ARCHITECTURES_MAPPING)
        raise ValueError(f"'{name}': no architecture '{options['arch']}'{known}; the form is {SMP}ARCHITECTURE.ENCODER")
    encoder = options.get("encoder_name", "")
    if not encoder.startswith("tu-") and encoder not in smp.encoders.encoders:
        raise ValueError(f"'{name}': no encoder '{encoder}'{did_you_mean(encoder, smp.encoders.get_encoder_names())}")


SOURCE = SegmenterSource(
    lambda name: name.startswith(SMP),
    smp_segmenter,
    f"networks of segmentation_models_pytorch, as '{SMP}FOLDER' or '{SMP}ARCHITECTURE.ENCODER'",
)
