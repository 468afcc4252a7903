"""Stages: templates over the settings, wired through the catalog."""
