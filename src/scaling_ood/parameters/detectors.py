"""Which detectors a setting runs: a method on a network, or on what another detector reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ConfigDict, model_validator

from scaling_ood.detectors import Detector, Need, build_detector, detector_class, detector_names, field_of, on_need
from scaling_ood.parameters.common import Spec, misspelt
from scaling_ood.wording import did_you_mean


class DetectorSpec(Spec):
    """One line under `detectors`; what is not named here are options of the method.

    Attributes:
        method: Registered name; by default the detector's own.
        network: Whose outputs it reads; by default the shared network's, or those of the one that gives what it needs.
        logits_of: Another detector of the benchmark, such as `odin`, whose need it takes in place of the logits.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    method: str | None = None
    network: str | None = None
    logits_of: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping | DetectorSpec):
            raise ValueError("must be {} (on, with the defaults), {option: value} or false")
        return raw


Switches = dict[str, DetectorSpec | Literal[False]]
"""Detector to how it is made, or to false where it is off."""


@dataclass(frozen=True)
class Method:
    """A detector that is on, with all that it needs to be built.

    Attributes:
        name: In tables.
        method: Registered name.
        options: Of the method.
        source: What it reads in place of the logits, if anything.
        network: Whose outputs it reads.
        gap: Why it has no meaning here, as far as parameters can tell; empty where they cannot.
    """

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    source: Need | None = None
    network: str = ""
    gap: str = ""

    def build(self) -> Detector:
        """The detector, unfitted."""
        built = build_detector(self.method, **self.options)
        return on_need(built, self.source) if self.source else built

    @property
    def needs(self) -> frozenset[str | Need]:
        """What it reads of its network."""
        return self.build().needs

    def what_matters(self) -> dict[str, Any]:
        """Plain values that its scores depend on."""
        package = detector_class(self.method).package
        return {
            **({"package": package} if package else {}),
            "method": self.method,
            "options": dict(self.options),
            "needs": sorted(map(field_of, self.needs)),
            "gap": self.gap,
        }


def methods_of(switches: Mapping[str, DetectorSpec | Literal[False]]) -> dict[str, Method]:
    """The detectors that are on, in the order of the configuration; their networks are not known yet.

    Raises:
        ValueError: Unknown methods or options, options out of range, needs that there are not: all of them, a line each
            that begins with the detector's name.
    """
    problems, found = [], {}
    for name, spec in switches.items():
        if spec is False:
            # Any name may be one that another file defines; but where it is nearly that of a method, that still runs.
            if meant := misspelt(name, detector_names()):
                problems.append(f"{name}: no such detector; did you mean '{meant}'?")
            continue
        try:
            found[name] = Method(
                name, spec.method or name, spec.model_extra or {}, _source(spec, switches), spec.network or ""
            )
            found[name].build()
        except (ValueError, TypeError) as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return found


def _source(spec: DetectorSpec, switches: Mapping[str, DetectorSpec | Literal[False]]) -> Need | None:
    other = spec.logits_of
    if other is None:
        return None
    if other not in switches:
        raise ValueError(f"logits_of: no detector '{other}'{did_you_mean(other, switches)}")
    named = switches[other]
    options = (named.model_extra or {}) if named is not False else {}
    method = (named.method if named is not False else None) or other
    made = [need for need in build_detector(method, **options).needs if isinstance(need, Need)]
    if len(made) != 1:
        raise ValueError(f"logits_of: '{other}' reads nothing that is made from a network beside its plain outputs")
    return made[0]
