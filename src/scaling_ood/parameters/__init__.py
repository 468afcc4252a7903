"""Typed parameters: what YAML may say, with units and ranges. Checked as a whole before any node runs."""
