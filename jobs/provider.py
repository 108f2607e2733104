"""Who will see the examples, in words."""

from __future__ import annotations

from ..models.names import parse_model

_HERE = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "this machine"}  # noqa: S104 - compared with, not bound to


def who_sees(target: str, base_url: str | None, agent: str | None = None) -> str:
    """One sentence on where the examples go; for the embedded model, that they stay."""
    hosts = dict.fromkeys(_host(name, base_url) for name in (target, agent) if name)
    away = [host for host in hosts if host not in _HERE]
    if not away:
        return f"target: {target}; the examples do not leave this machine"
    return f"target: {target}; the examples will be seen by {' and '.join(away)}"


def _host(name: str, base_url: str | None) -> str:
    """The host or provider of a model. A name of another form is the caller's own function, which runs here."""
    if ":" not in name:
        return "this machine"
    return parse_model(name, base_url).host
