"""What parameters of all settings have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from scaling_ood.cores import Workers
from scaling_ood.wording import did_you_mean

Share = Annotated[float, Field(gt=0, le=1)]

Count = Annotated[int, Field(ge=1)]


def _counted(value: Any) -> Any:
    # A list cannot be given on Kedro's command line: --params multi_class.networks.classifier.seeds=3
    return tuple(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value


def _once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"names one twice: {', '.join(map(str, seeds))}")
    return seeds


Seed = Annotated[int, Field(ge=0)]

Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_counted), Field(min_length=1), AfterValidator(_once)]
"""One network each; a number n means 0..n-1."""

RESERVED = ("train", "fit", "test", "mean")
"""What no OOD set can be called: roles of in-distribution images, and the row of means."""


def reserved_names(ood: Iterable[str]) -> list[str]:
    """What is wrong with names of OOD sets that name rows of their own in the tables; nothing for good ones.

    >>> reserved_names(["textures", "mean"])
    ['an OOD set cannot be called mean: that names rows of its own in the tables']
    """
    taken = [name for name in ood if name in RESERVED or name.startswith("mean_")]
    told = "that names rows of its own in the tables"
    return [f"an OOD set cannot be called {', '.join(taken)}: {told}"] if taken else []


_NAME = re.compile(r"[^\W_][\w-]*")
_LONGEST_NAME = 60


def unfit_names(what: str, names: Iterable[str]) -> list[str]:
    """What is wrong with names that become folders, columns and MLflow metrics alike; nothing for good ones.

    >>> unfit_names("OOD set", ["textures", "a(1)"])
    ["OOD set 'a(1)': a name has letters, digits, _ and - alone, begins with a letter or digit, at most 60 of them"]
    >>> unfit_names("OOD set", ["Odd", "odd"])
    ["OOD set 'odd' differs from 'Odd' in capitals alone, which some disks do not tell apart"]
    """
    rule = f"letters, digits, _ and - alone, begins with a letter or digit, at most {_LONGEST_NAME} of them"
    problems, seen = [], dict[str, str]()
    for name in names:
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            problems.append(f"{what} {name!r}: a name has {rule}")
        elif (other := seen.setdefault(name.casefold(), name)) != name:
            problems.append(
                f"{what} {name!r} differs from {other!r} in capitals alone, which some disks do not tell apart"
            )
    return problems


def _fit_name(name: str) -> str:
    if problems := unfit_names("the name", [name]):
        raise ValueError(problems[0])
    return name


Name = Annotated[str, AfterValidator(_fit_name)]
"""Of a data set, a split, a benchmark: what can be a folder, a column and part of a metric's name."""


def misspelt(word: str, known: Iterable[str]) -> str:
    """The known word that was most likely meant; empty where the word may well be a name of its own.

    >>> misspelt("enrgy", ["energy", "msp"]), misspelt("energy_2", ["energy", "msp"])
    ('energy', '')
    """
    near = get_close_matches(word, known, 1, cutoff=0.85)
    return near[0] if near and near[0] != word and near[0] not in word else ""


class Silent:
    """Marks a parameter that changes no result: it is no part of any key, and making nothing anew when it changes."""


class Spec(BaseModel):
    """Base of all parameters: an unknown key is an error, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _names_the_nearest(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Say of unknown keys which known one is nearest."""
        try:
            return handler(raw)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                error.title, [_detailed(each, cls.model_fields) for each in error.errors(include_url=False)]
            ) from None

    def what_matters(self) -> dict[str, Any]:
        """Plain values of the parameters that can change a result: part of the key of all that is made with them."""
        return {
            name: _plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if not any(mark is Silent or isinstance(mark, Silent) for mark in field.metadata)
        } | {name: _plain(value) for name, value in (self.model_extra or {}).items()}

    def tells(self) -> dict[str, Any] | None:
        """All of them, for products that show them."""
        return self.model_dump(mode="json")


def _detailed(error: ErrorDetails, known: Iterable[str]) -> InitErrorDetails:
    own = error["type"] == "extra_forbidden" and len(error["loc"]) == 1
    message = f"no such parameter{did_you_mean(str(error['loc'][0]), known)}" if own else error["msg"]
    told = PydanticCustomError(error["type"] if not own else "unknown", message)
    return InitErrorDetails(type=told, loc=error["loc"], input=error["input"])


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.what_matters()
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _number_of_workers(given: Any) -> Workers:
    if given == "auto" or (isinstance(given, int) and not isinstance(given, bool) and given >= 0):
        workers: Workers = given
        return workers
    raise ValueError("must be 'auto', or an integer from 0 on")


def _one_of_several(part: str) -> str:
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", part)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError("must be K/N, the K-th of N processes that share the work, with K from 1 to N, such as 3/16")
    return part


def _of_a_cluster(address: str) -> str:
    if address != "auto" and not re.fullmatch(r"[^/]+:[0-9]{1,5}", address):
        raise ValueError(
            "must be auto, or HOST:PORT of the head as `ray start` took it, such as HOST:6379; `ray://` does "
            "not serve: start the run on a machine of the cluster"
        )
    return address


class RuntimeSpec(Spec):
    """Where and how fast; changes no result beyond rounding.

    Attributes:
        device: `auto` takes the GPU if there is one.
        batch_images: Images per forward pass; by default 64 on a GPU and 16 on a processor, where getting memory for
            larger ones takes up to half of the time.
        workers: Processes or threads that decode images; `auto` is as many as there are cores that one may use, by
            affinity and the limits of a container; 0 is none beside the own.
        channels_last: Memory order of the convolutions; faster on most hardware.
        engine: Who makes the parts of long work: `local` is this process; `split` one of several that share a file
            system; `ray` the workers of a Ray cluster.
        part: Which of the processes of `split` this one is, such as `3/16`; it implies `split`. Without it this one
            collects what the others have made, and makes what is missing.
        address: Of a Ray cluster, `auto` or `HOST:6379`; without it one is started on this machine.
        cores_each: Processor cores of a Ray worker. By default an equal share of the machine beside each GPU; where
            there is no GPU, 4 or all that the smallest machine has.
    """

    device: Annotated[str, Silent] = "auto"
    batch_images: Annotated[Count | None, Silent] = None
    workers: Annotated[Annotated[int, Field(ge=0)] | Literal["auto"], PlainValidator(_number_of_workers), Silent] = (
        "auto"
    )
    channels_last: Annotated[bool, Silent] = True
    engine: Annotated[Literal["local", "split", "ray"], Silent] = "local"
    part: Annotated[Annotated[str, AfterValidator(_one_of_several)] | None, Silent] = None
    address: Annotated[Annotated[str, AfterValidator(_of_a_cluster)] | None, Silent] = None
    cores_each: Annotated[Count | None, Silent] = None

    @property
    def turn(self) -> tuple[int, int] | None:
        """The K and the N of `part`.

        >>> RuntimeSpec(part="3/16").turn
        (3, 16)
        """
        return None if self.part is None else tuple(map(int, self.part.split("/")))  # type: ignore[return-value]

    @model_validator(mode="before")
    @classmethod
    def _a_part_is_split(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and raw.get("part") is not None and raw.get("engine", "local") == "local":
            return {**raw, "engine": "split"}
        return raw

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        given = {"part": "split", "address": "ray", "cores_each": "ray"}
        wrong = [
            f"{name} belongs to engine {engine} (given: engine {self.engine})"
            for name, engine in given.items()
            if getattr(self, name) is not None and engine != self.engine
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    def tells(self) -> None:
        """Nothing: products say themselves on what they were made."""


class SharingSpec(Spec):
    """What is tolerated of pictures that stand in several image sets; see `scaling_ood.images.sharing`.

    Attributes:
        most_shared: Share of the smaller of two image sets that may have the same bytes as images of the other, before
            preparation stops with an error. One per cent moves an AUROC by half a point at most where the network was
            not trained on them, and no published benchmark is known to have as many. Of two OOD sets any share may.
        near_duplicates: Whether pictures that look alike are looked for too, by a perceptual hash; they are a warning.
    """

    most_shared: Annotated[float, Field(ge=0, le=1), Silent] = 0.01
    near_duplicates: Annotated[bool, Silent] = False


class AnyDataSpec(SharingSpec):
    """What the data of every setting can tell."""

    @property
    def sources(self) -> dict[str, str]:
        """Data set to `photographs`, `fabricated` or `noise`."""
        return {}

    def photographs(self) -> dict[str, str]:
        """Data sets of photographs: name to folder, relative to the data root."""
        return {}

    def expected(self) -> dict[str, str]:
        """Data set to the shape that its layout expects of its folder, in words."""
        return {}

    def curated(self) -> list[str]:
        """Data sets that are curated."""
        return []


class ReportingSpec(Spec):
    """How results are measured and shown.

    Attributes:
        positive_class: Which class recall and precision are about: `ood`, `in_dist`, or `both`, one after the other and
            the in-distribution one first, as in the paper's multi-label table.
        fpr_rule: Which threshold "95 % recall" means; `nearest` is the paper's.
        tie_level: Chance that any of several equally good detectors loses its mark.
        bootstrap_replicates: Joint normal draws behind the marks, a parametric bootstrap of the largest difference.
        examples: Images or scenes to show.
        caveats: What a reader must know before any number.
    """

    positive_class: Literal["ood", "in_dist", "both"] = "ood"
    fpr_rule: Literal["nearest", "first"] = "nearest"
    tie_level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    bootstrap_replicates: Count = 5000
    examples: Annotated[Count, Silent] = 6
    caveats: Annotated[tuple[str, ...], Silent] = ()

    @property
    def positive_classes(self) -> tuple[Literal["ood", "in_dist"], ...]:
        """The one, or both; the first is the one that figures and tracked runs show."""
        return ("in_dist", "ood") if self.positive_class == "both" else (self.positive_class,)


class PixelReportingSpec(ReportingSpec):
    """How results are measured and shown, where detectors score pixels.

    Attributes:
        keep_score_maps: Whether every test scene's scores are stored, as float32 of the label image's size: 3.7 MB for
            720 x 1280 pixels, per detector and seed. Otherwise only those of the scenes that are shown.
    """

    positive_class: Literal["ood", "in_dist"] = "ood"
    keep_score_maps: Annotated[bool, Silent] = False


Request = TypeVar("Request")


class RenderingSpec(Spec, Generic[Request]):
    """Fields of a request to the renderers, a data class of `miniatures`; what is not given keeps its default."""

    model_config = ConfigDict(extra="allow", frozen=True)

    of: ClassVar[type[Any]]

    @model_validator(mode="after")
    def _renders(self) -> Self:
        self.request()
        return self

    def request(self) -> Request:
        """What to render."""
        fields: dict[str, Any] = self.model_extra or {}
        known = self.of.__dataclass_fields__
        unknown = [f"no such parameter: {name}{did_you_mean(name, known)}" for name in fields if name not in known]
        if unknown:
            raise ValueError("\n".join(unknown))
        request: Request = self.of(**fields)
        return request
