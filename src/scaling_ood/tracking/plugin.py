"""The hook of kedro-mlflow, without the warning that its import brings.

MLflow warns of a model class of the plugin that is not used here, on every command. It sets filters of its own while
it does, so no filter helps: the warning is caught. `conf/logging.yml` keeps warnings of libraries about themselves
quiet everywhere else.
"""

import warnings

from scaling_ood.lasting import lasting

with warnings.catch_warnings(record=True), lasting():
    from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook, mlflow_hook

__all__ = ["MlflowHook", "mlflow_hook"]
