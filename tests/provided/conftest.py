"""Fixtures of this folder."""

from helpers.brought import folder, rewritten

__all__ = ["folder", "rewritten"]
