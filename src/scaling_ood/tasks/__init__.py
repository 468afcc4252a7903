"""What is special about each setting: one file each, found by itself."""

from scaling_ood.tasks.task import Task, WrongNetworkError, tasks

__all__ = ["Task", "WrongNetworkError", "tasks"]
