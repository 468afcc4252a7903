"""The project's hooks, imported with all their libraries when a session has its context.

Kedro reads `settings.py` for every command: one that makes no session, such as `kedro --help`, waits for none of them.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from scaling_ood.lasting import lasting


class LateHooks:
    """Registers the hooks that do the work, at the first hook that Kedro calls."""

    @cached_property
    def hooks(self) -> tuple[Any, ...]:
        """Called last in, first out: parameters are checked before anything is tracked."""
        from scaling_ood.hooks import ProjectHooks
        from scaling_ood.tracking.hooks import TrackingHooks

        return TrackingHooks(), ProjectHooks()

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Register them, and have them do what they do here; from now on Kedro calls them itself."""
        manager = context._hook_manager
        # The first session imports; what later ones leave is garbage in the end.
        with nullcontext() if "hooks" in vars(self) else lasting():
            late = [each for each in self.hooks if not manager.is_registered(each)]
            for each in late:
                manager.register(each)
            for each in reversed(late):
                each.after_context_created(context)
