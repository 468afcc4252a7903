"""Passes over images, and how their outputs become scores, tables, facts and figures."""
