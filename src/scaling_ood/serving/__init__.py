"""A packaged detector as an MLflow model."""
