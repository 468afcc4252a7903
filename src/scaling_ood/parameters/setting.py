"""Everything about one setting in the running environment: the same shape in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from scaling_ood.detectors import Need, NotApplicableError, refuse_network
from scaling_ood.parameters.common import (
    AnyDataSpec,
    Count,
    Name,
    ReportingSpec,
    Spec,
    misspelt,
    unfit_names,
)
from scaling_ood.parameters.data_sets import DataSpec
from scaling_ood.parameters.detectors import Method, Switches, methods_of
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.outputs import OutputsDataSpec
from scaling_ood.parameters.packaging import PackagingSpec
from scaling_ood.wording import did_you_mean


class ExtractionSpec(Spec):
    """What is stored of the forward pass: what the detectors that are on read, and the logits.

    Attributes:
        precision: Arithmetic of the network: `float32`, for which TF32 is switched off on GPUs that have it; `tf32`,
            which such GPUs alone have; or `bf16`, automatic mixed precision.
        stored: Type of what is kept. Half precision moves no metric by 0.05 points (`benchmarks/scene_storage.py`).
        shard_images: Images per stored file, which is also what a killed run loses at most.
        keep: What stays of test images: their `outputs`, for any detector that comes later; or, of whole images, their
            `scores` alone, by the detectors that are on: any change of these takes a new pass.
    """

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    stored: Literal["float32", "float16"] = "float32"
    shard_images: Count = 512
    keep: Literal["outputs", "scores"] = "outputs"

    def what_matters(self) -> dict[str, Any]:
        """Without what was always so before there was a choice."""
        return {name: value for name, value in super().what_matters().items() if (name, value) != ("keep", "outputs")}


class SettingSpec(Spec):
    """One setting; its task says of which classes data, networks and fabrication are.

    Attributes:
        fabrication: What is rendered; false where nothing is.
        data: Which images play which role.
        networks: By name; the shared one, whose outputs detectors read by default, is called `shared`.
        extraction: What is stored of forward passes.
        detectors: Which are on.
        reporting: How results are measured and shown.
        packaging: Which detector is packaged for use elsewhere, and how.
    """

    shared: ClassVar[str] = "classifier"
    dense: ClassVar[bool] = False
    not_inherited: ClassVar[frozenset[str]] = frozenset({"objective", "targets", "class_order"})
    of_architecture: ClassVar[frozenset[str]] = frozenset({"head", "preprocessing"})

    fabrication: Any = False
    data: AnyDataSpec
    networks: Mapping[Name, Any]
    extraction: ExtractionSpec = ExtractionSpec()
    detectors: Switches
    reporting: ReportingSpec = ReportingSpec()
    packaging: PackagingSpec = PackagingSpec()

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, raw: Any) -> Any:
        """Let other networks take what they do not state from the shared one; `false` switches one off."""
        if not isinstance(raw, Mapping) or not isinstance(raw.get("networks"), Mapping):
            return raw
        networks = raw["networks"]
        shared = networks.get(cls.shared)
        if not isinstance(shared, Mapping):
            return raw
        kept = {name: value for name, value in shared.items() if name not in cls.not_inherited}
        filled = {
            name: {**cls._kept(own, cls.inherited(own, kept)), **own}
            if isinstance(own, Mapping) and name != cls.shared
            else own
            for name, own in networks.items()
            if own is not False
        }
        return {**raw, "networks": filled}

    @classmethod
    def _kept(cls, own: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without what belongs to the shared network's architecture, where this one has another."""
        same = own.get("architecture") in (None, shared.get("architecture"))
        return shared if same else {name: value for name, value in shared.items() if name not in cls.of_architecture}

    @classmethod
    def inherited(cls, own: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG003
        """What a network takes from the shared one; by default everything."""
        return shared

    @field_validator("detectors")
    @classmethod
    def _sensible(cls, switches: Switches) -> Switches:
        """Here, so that it is told whatever else is wrong."""
        problems = [*unfit_names("detector", switches)]
        if not any(switches.values()):
            problems.append("every detector is switched off")
        try:
            methods_of(switches)
        except ValueError as error:
            problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))
        return switches

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.shared not in self.networks:
            known = did_you_mean(self.shared, self.networks)
            raise ValueError(f"networks lacks '{self.shared}', whose outputs all detectors share{known}")
        problems = [*unfit_names("network", self.networks)]
        wrong = self._wrong_detectors()
        rendered = [name for name, source in self.data.sources.items() if source == "fabricated"]
        if rendered and not self.fabrication:
            problems.append(f"fabrication is switched off, but data names rendered sets: {', '.join(rendered)}")
        # Which networks there are depends on what detectors read.
        problems += wrong or [*self._misspelt_networks(), *self.own_problems(), *self._unpackaged(), *self._unkept()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def own_problems(self) -> list[str]:
        """What is wrong beside what all settings check."""
        return []

    def _wrong_detectors(self) -> list[str]:
        return [
            f"detectors.{name}.network: no network '{method.network}'{did_you_mean(method.network, self.networks)}"
            for name, method in methods_of(self.detectors).items()
            if method.network and method.network not in self.networks
        ]

    def _unpackaged(self) -> list[str]:
        name = self.packaging.detector
        if name is None or name in self.methods:
            return []
        return [f"packaging.detector: '{name}' is not on{did_you_mean(name, self.methods)}"]

    def _unkept(self) -> list[str]:
        if self.extraction.keep == "outputs":
            return []
        if self.dense:
            return ["extraction.keep: scores cannot be: scores of pixels are never stored, but made of the outputs"]
        if self.networks[self.shared].source.start == "outputs":
            return ["extraction.keep: scores cannot be: outputs that are brought are there already"]
        return []

    @property
    def packaged(self) -> Method:
        """The detector that is packaged."""
        chosen = self.packaging.detector or ("max_logit" if "max_logit" in self.methods else next(iter(self.methods)))
        return self.methods[chosen]

    def _misspelt_networks(self) -> list[str]:
        unread = [name for name in self.networks if name not in self.used_networks]
        meant = {name: misspelt(name, [other for other in self.networks if other != name]) for name in unread}
        return [f"networks.{n}: no detector reads it; did you mean '{other}'?" for n, other in meant.items() if other]

    @cached_property
    def methods(self) -> dict[str, Method]:
        """The detectors that are on, in the order of the configuration, with the networks that they read."""
        return {name: self._placed(method) for name, method in methods_of(self.detectors).items()}

    @cached_property
    def used_networks(self) -> dict[str, NetworkSpec]:
        """The shared network first, and those that a detector reads, in the order of the configuration."""
        read = {method.network for method in self.methods.values()}
        names = [self.shared, *(name for name in self.networks if name in read)]
        return {name: self.networks[name] for name in dict.fromkeys(names)}

    def needs_of(self, network: str) -> frozenset[str | Need]:
        """What is stored of a network's passes: what its detectors read, and the logits where there are any."""
        own = [method.needs for method in self.methods.values() if method.network == network and not method.gap]
        plain: frozenset[str | Need] = frozenset({"logits"}) & self.networks[network].gives
        return plain.union(*own)

    def _placed(self, method: Method) -> Method:
        """A detector on the network that it reads; on the shared one, with the reason, where none serves."""
        made = [need.name for need in method.needs if isinstance(need, Need)]
        if made and self.networks[self.shared].source.start == "outputs":
            gap = f"not applicable: it takes {', '.join(made)}, which only a pass over images gives"
            return replace(method, network=self.shared, gap=gap)
        wanted = [method.network] if method.network else [self.shared, *self.networks]
        reasons = {name: self._unfit(method, name) for name in dict.fromkeys(wanted)}
        fitting = next((name for name, reason in reasons.items() if not reason), None)
        if fitting is not None:
            return replace(method, network=fitting)
        # Of several networks that do not serve, one that only cannot be trained here says most.
        reason = next((told for told in reasons.values() if "trained" in told), next(iter(reasons.values())))
        return replace(method, network=self.shared, gap=f"not applicable: {reason}")

    def _unfit(self, method: Method, network: str) -> str:
        spec: NetworkSpec = self.networks[network]
        try:
            refuse_network(method.build(), network, spec.gives, self.dense)
        except NotApplicableError as reason:
            return str(reason)
        return f"its network ({network}) {spec.untrainable}" if spec.untrainable else ""


class ImagesSpec(SettingSpec):
    """One setting of whole images."""

    data: DataSpec | OutputsDataSpec

    def own_problems(self) -> list[str]:
        """Training images without a training, outputs without images, or the other way round."""
        brought = isinstance(self.data, OutputsDataSpec)
        wrong = [name for name, spec in self.used_networks.items() if (spec.source.start == "outputs") != brought]
        if wrong:
            return [f"networks.{name}.weights must be outputs exactly if data.outputs is given" for name in wrong]
        trains = any(spec.source.trains for spec in self.used_networks.values())
        if trains != (self.data.train is not None):
            return ["data.train must be given exactly if a network is trained"]
        return []
