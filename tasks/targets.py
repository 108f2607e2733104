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
    target: str | Callable[..., Any] | Runnable[Any, Any] | Target,
    task: Task,
    base_url: str | None = None,
    concurrency: int | None = None,
) -> Target:
    """The target for a model's name, `python:module:function`, `http://…`, a callable, a Runnable, or a target.

    `concurrency` fixes how many calls are under way at once; the embedded model keeps its own number.
    May read files and start nothing; the target starts what it needs with its first call. Raises ModelSetupError
    (TaskError for a Python object that is not there) where it cannot be used.
    """
    made = _made(target, task, base_url)
    if concurrency is not None and not isinstance(made, EmbeddedTarget):
        made.concurrency = concurrency
    return made


def target_name(target: Any) -> str:
    """What a run's settings call a target: its name, or that of the Python function or class."""
    if isinstance(target, str):
        return target
    return str(getattr(target, "__name__", type(target).__name__))


def _made(target: str | Callable[..., Any] | Runnable[Any, Any] | Target, task: Task, base_url: str | None) -> Target:
    if isinstance(target, str):
        if target.startswith(("http://", "https://")):
            return HttpTarget(target, task)
        if target.startswith(PYTHON):
            return _app(import_object(target.removeprefix(PYTHON)), task, target)
        name = check_model(target, base_url)
        if name.local:
            return EmbeddedTarget(name, task)
        return ChatTarget(name, task) if name.provider == "openai" else LangChainTarget(name, task)
    return _app(target, task)


def _app(app: Any, task: Task, name: str | None = None) -> Target:
    if isinstance(app, Runnable):
        return RunnableTarget(app, task, name)
    if hasattr(app, "request") and hasattr(app, "aclose"):
        return cast(Target, app)
    if callable(app):
        return CallableTarget(app, task, name)
    raise ModelSetupError(f"a {type(app).__name__} cannot be a target: pass a name, a callable or a Runnable")
