"""Who will see the examples, in words."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..models.names import OPENAI_URL, parse_model

_HERE = {"127.0.0.1", "localhost", "::1"}


def who_sees(target: str, base_url: str | None, agent: str | None = None) -> str:
    """One sentence on where the examples go; for the embedded model, that they stay."""
    seen = [_place(name, base_url) for name in dict.fromkeys(filter(None, (target, agent)))]
    away = list(dict.fromkeys(place for place in seen if place))
    if not away:
        return f"target: {target}; the examples do not leave this machine"
    return f"target: {target}; the examples will be seen by {' and '.join(away)}"


def _place(name: str, base_url: str | None) -> str:
    """Who runs that model; empty where it runs on this machine, or is the caller's own function."""
    provider = name.partition(":")[0]
    if provider == "local" or ":" not in name:
        return ""
    if provider != "openai":
        return provider
    url = parse_model(name, base_url).base_url or OPENAI_URL
    if url == OPENAI_URL:
        return "OpenAI (api.openai.com)"
    host = urlsplit(url).hostname or url
    return "" if host in _HERE else f"the server at {host}"
