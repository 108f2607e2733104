"""Which sandbox runs analysis code: `auto`, `e2b`, `local`, `plain`, `unsafe` or `none`."""

from __future__ import annotations

from functools import cache

from ..errors import SandboxError, UsageError, nearest
from . import probe
from .e2b import E2BSandbox, key_set
from .isolation import Confinement
from .local import LocalSandbox
from .probe import Layer
from .protocol import Sandbox

CHOICES = ("auto", "e2b", "local", "plain", "unsafe", "none")


def make_sandbox(choice: str = "auto") -> Sandbox | None:
    """The sandbox of that name, not yet started; None for `none`.

    `auto` is `e2b` where its key is set (E2B_API_KEY), else `local`. `e2b` and `local` isolate, or raise SandboxError
    where there is no key or nothing isolates, before anything is spent; neither ever becomes the other. `plain` and
    `unsafe` are an ordinary process without isolation: `plain` for our own analyses only, `unsafe` for code that a
    model wrote, when the user says so. Raises UsageError for another name. Probes the machine once per process.
    """
    if choice not in CHOICES:
        raise UsageError(f"There is no sandbox '{choice}'; choose {', '.join(CHOICES)}.{nearest(choice, CHOICES)}")
    if choice == "none":
        return None
    if choice in ("plain", "unsafe"):
        return LocalSandbox(choice, Confinement())
    if choice == "e2b" or (choice == "auto" and e2b_key_is_set()):
        return E2BSandbox()
    return LocalSandbox("local", _best())


def e2b_key_is_set() -> bool:
    """Whether `auto` means e2b."""
    return bool(key_set())


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
