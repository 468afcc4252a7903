"""What MLflow runs to load the model: it is copied beside the model's files, and imports the installed package."""

from mlflow.models import set_model

from scaling_ood.serving.model import PackagedDetector

set_model(PackagedDetector())
