"""Fixtures of this folder."""

from helpers.fixtures import toys

__all__ = ["toys"]
