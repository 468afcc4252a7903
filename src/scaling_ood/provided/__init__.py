"""Outputs that a person brings: logits, and what else a network of theirs left for each image."""

from scaling_ood.provided.formats import READERS, ProvidedError
from scaling_ood.provided.sets import Provided, ProvidedSet, Rows, head_of, read_provided, rows_of
from scaling_ood.provided.survey import Surveyed, digests, survey

__all__ = [
    "READERS",
    "Provided",
    "ProvidedError",
    "ProvidedSet",
    "Rows",
    "Surveyed",
    "digests",
    "head_of",
    "read_provided",
    "rows_of",
    "survey",
]
