"""Parameters of the toy benchmark, as the stages take them."""

from typing import Any

from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ExtractionSpec

IDENTITY = IdentitySpec(setting="multi_class", benchmark="toy")
RUNTIME = RuntimeSpec(device="cpu", batch_images=7, workers=0, channels_last=False)
NETWORKS = ClassifierNetworksSpec.model_validate({"rotation_network": {"width": 7}})
EXTRACTION = ExtractionSpec(shard_images=5)
DETECTORS: dict[str, Any] = {"msp": {}, "max_logit": {}, "kl_matching": {}, "energy": {"temperature": 2.0}}
GREENS = {"green_dark": (10, 120, 10), "green_light": (90, 250, 90)}
