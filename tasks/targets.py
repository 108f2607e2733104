"""Which target a name, a Python callable or a LangChain Runnable stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from langchain_core.runnables import Runnable

from ..errors import ModelSetupError
from ..models.names import check_model
from .imports import import_object
from .target import Target
from .targets_apps import CallableTarget, HttpTarget, RunnableTarget
from .targets_chat import ChatTarget, LangChainTarget
from .targets_local import EmbeddedTarget
from .task import Task

PYTHON = "python:"


def make_target(
    target: str | Callable[..., Any] | Runnable[Any, Any] | Target, task: Task, base_url: str | None = None
) -> Target:
    """The target for a model's name, `python:module:function`, `http://…`, a callable, a Runnable, or a target.

    May read files and start nothing; the target starts what it needs with its first call. Raises ModelSetupError
    (TaskError for a Python object that is not there) where it cannot be used.
    """
    if isinstance(target, str):
        if target.startswith(("http://", "https://")):
            return HttpTarget(target, task)
        if target.startswith(PYTHON):
            return make_target(import_object(target.removeprefix(PYTHON)), task)
        name = check_model(target, base_url)
        if name.local:
            return EmbeddedTarget(name, task)
        return ChatTarget(name, task) if name.provider == "openai" else LangChainTarget(name, task)
    if isinstance(target, Runnable):
        return RunnableTarget(target, task)
    if hasattr(target, "request") and hasattr(target, "aclose"):
        return cast(Target, target)
    if callable(target):
        return CallableTarget(target, task)
    raise ModelSetupError(f"a {type(target).__name__} cannot be a target: pass a name, a callable or a Runnable")
