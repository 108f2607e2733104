"""Which sandbox runs analysis code: `auto`, `local`, `plain`, `unsafe` or `none`."""

from __future__ import annotations

from functools import cache

from ..errors import SandboxError, UsageError, nearest
from . import probe
from .isolation import Confinement
from .local import LocalSandbox
from .probe import Layer
from .protocol import Sandbox

CHOICES = ("auto", "local", "plain", "unsafe", "none")


def make_sandbox(choice: str = "auto") -> Sandbox | None:
    """The sandbox of that name, not yet started; None for `none`.

    `auto` and `local` isolate, or raise SandboxError where nothing does, before anything is spent. `plain` and
    `unsafe` are an ordinary process without isolation: `plain` for our own analyses only, `unsafe` for code that a
    model wrote, when the user says so. Raises UsageError for another name. Probes the machine once per process.
    """
    if choice not in CHOICES:
        raise UsageError(f"There is no sandbox '{choice}'; choose {', '.join(CHOICES)}.{nearest(choice, CHOICES)}")
    if choice == "none":
        return None
    if choice in ("plain", "unsafe"):
        return LocalSandbox(choice, Confinement())
    return LocalSandbox("local", _best())


def available() -> list[Layer]:
    """The layers of isolation and whether each holds here, tried anew; for `doctor`."""
    return probe.layers()


@cache
def _best() -> Confinement:
    """Every layer that holds, if together they isolate."""
    found = available()
    best = Confinement(tuple(layer.name for layer in found if layer.holds))
    if best.isolates:
        return best
    lacking = "; ".join(f"{layer.name}: {layer.detail}" for layer in found if not layer.holds)
    raise SandboxError(
        "Nothing isolates code on this machine, so code that a model wrote is not run. "
        f"{lacking}. Local isolation needs Linux on x86-64 or ARM64 with seccomp, and either Landlock (kernel 5.13 or "
        "newer; the package `sandlock` comes with sage-spo) or user namespaces (`sysctl user.max_user_namespaces`). "
        "Ways out: "
        "--sandbox none (no analysis code at all), or --sandbox unsafe (runs the model's code with all your rights)."
    )
