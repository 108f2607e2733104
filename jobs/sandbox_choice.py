"""What a person may say about where analysis code runs, and what is refused before a run is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError, nearest

if TYPE_CHECKING:
    from ..graphs.run_settings import RunSettings

SANDBOXES = ("auto", "e2b", "local", "none", "unsafe")
"""The values of --sandbox. `plain`, which isolates nothing, is for our own code and not for a person to choose."""

UNSAFE = "WARNING: --sandbox unsafe: "


def check_choice(choice: str) -> None:
    """Raises UsageError where there is no such value of --sandbox."""
    if choice not in SANDBOXES:
        raise UsageError(f"--sandbox: unknown '{choice}'; choose {', '.join(SANDBOXES)}.{nearest(choice, SANDBOXES)}")


def check_sandbox(settings: RunSettings) -> None:
    """Raises SandboxError where the run would execute code that a model wrote and nothing isolates it here.

    The playbook's analyses are our own code, so that without an agent model the first command works anywhere.
    Raises UsageError for an unknown choice. Tries out what isolates, once per process: some 0.3 s.
    """
    from ..graphs.session import sandbox_of

    check_choice(settings.sandbox)
    sandbox_of(settings)


def sandbox_host(settings: RunSettings) -> str | None:
    """The service that the run's analysis code, and with it the records, would be sent to; None where they stay."""
    from ..sandbox.choose import e2b_key_is_set

    if not settings.runs_code:
        return None
    own = settings.sandbox == "auto" and settings.agent is not None and e2b_key_is_set()
    return "e2b.dev" if settings.sandbox == "e2b" or own else None


def unsafe_line(settings: RunSettings) -> str:
    """The loud line for a run whose analysis code is not isolated; empty for any other."""
    if settings.sandbox != "unsafe" or not settings.runs_code:
        return ""
    author = f"code that {settings.agent} writes" if settings.agent else "analysis code"
    return (
        f"{UNSAFE}{author} runs on this machine with all your rights. NOTHING ISOLATES IT: it can read, change and "
        "send away whatever you can."
    )
