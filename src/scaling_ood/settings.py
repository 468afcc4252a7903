"""Kedro settings: hooks, the session, and how configuration is merged."""

from scaling_ood.configuration import ConfigLoader
from scaling_ood.late_hooks import LateHooks
from scaling_ood.session import Session
from scaling_ood.terminal import print_in_any_locale
from scaling_ood.tracking import plugin  # noqa: F401 - before Kedro imports the plugin's commands, with its warning

print_in_any_locale()

HOOKS = (LateHooks(),)

# TrackingHooks, which is one of them, takes the place of the plugin's own hook, which it extends.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)

SESSION_CLASS = Session

CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "miniature",
    # Soft: a benchmark overrides single keys; what it must replace as a whole is a scalar or a list.
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
