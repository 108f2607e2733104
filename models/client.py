"""A lean client for bulk calls to OpenAI-compatible endpoints: one session, defensive reading, mapped errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.helpers import get_env_proxy_for_url
from yarl import URL

from ..errors import ModelError, ModelRefused, QuotaExhausted, Sign, TransientModelError
from ..traces.redact import REDACTED, redact
from .rate_limit import RateLimit, retry_after
from .tls import tls_problem
from .wire import from_json, to_json

MAX_REPLY_BYTES = 5_000_000
# The retry layer keeps the time of chats more cheaply; other calls may come without it.
CHAT_TIME = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
OTHER_TIME = aiohttp.ClientTimeout(total=600.0, sock_connect=10.0)
# Shorter than the servers' own (llama.cpp: 5 s): a connection must not be used again while it is being closed.
KEEP_ALIVE_SECONDS = 3.0
SHOWN_CHARACTERS = 300

# Refusals by status that are worth another attempt. 5xx is treated alike.
TRANSIENT_STATUS = {408, 409, 425, 429}
OVERLOADED_STATUS = {429, 529}
# Who answers so is a gateway that finds nobody behind it, or a server that says it does not serve now.
UNREACHABLE_STATUS = {502, 503, 504}
# A gateway gave up waiting: the model behind it may have answered, and charged.
MAYBE_SPENT_STATUS = {408, 502, 504, 524}
QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_too_low"}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class ChatClient:
    """Calls one endpoint. The session opens with the first call and may be used from one event loop only.

    Raises `TransientModelError` for what may pass (429, 5xx, broken connections and replies) and `ModelError` for
    what will not (400; `ModelRefused` for 401, 403, 404 and `QuotaExhausted`, after which no call will do better).
    It never retries, a chat may take for ever, and no message it raises holds the key. `concurrency` limits its
    connections (0: no limit). What the provider's headers say of its limits goes into `rate_limit`.
    """

    def __init__(self, base_url: str, api_key: str | None = None, concurrency: int = 16) -> None:
        self.base_url = base_url.rstrip("/")
        self.rate_limit = RateLimit()
        self._chat_url = URL(self.base_url + "/chat/completions")
        parts = urlsplit(self.base_url)
        self._host = parts.hostname or self.base_url
        self._shown = f"{self._host}:{parts.port}" if parts.port else self._host
        self._api_key = api_key
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None

    async def chat(self, payload: Mapping[str, Any] | bytes) -> dict[str, Any]:
        """The parsed reply to POST /chat/completions; it has at least one choice with a message.

        The payload is a mapping, or JSON that is sent as it is.
        """
        body = payload if isinstance(payload, bytes) else to_json(payload)
        reply = await self._post(self._chat_url, body, CHAT_TIME)
        choices = reply.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise self._broken("a reply without choices")
        if not isinstance(choices[0].get("message"), dict):
            raise self._broken("a reply without a message")
        return reply

    async def post(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that POST `path` replies."""
        return await self._post(URL(self.base_url + path), to_json(payload), OTHER_TIME)

    async def _post(self, url: URL, body: bytes, time: aiohttp.ClientTimeout) -> dict[str, Any]:
        try:
            async with self._open().post(url, data=body, timeout=time, allow_redirects=False) as response:
                self.rate_limit.learn(response.status, response.headers)
                return self._parse(response, await self._read(response))
        except TimeoutError as error:
            raise TransientModelError(f"{self._shown} did not answer in time", spent=True, sign="failing") from error
        except aiohttp.ClientConnectorError as error:
            if (problem := tls_problem(error)) is not None:
                raise ModelRefused(f"cannot connect to {self._shown}: {problem}") from error
            number = 0 if isinstance(error, aiohttp.ClientSSLError) else error.os_error.errno or 0
            text = os.strerror(number).lower() if number > 0 else self._safe(str(error))
            raise TransientModelError(f"cannot connect to {self._shown}: {text}", sign="unreachable") from error
        except (aiohttp.ClientError, OSError) as error:
            text = self._safe(str(error)) or type(error).__name__
            raise TransientModelError(
                f"the connection to {self._shown} broke: {text}", spent=True, sign="failing"
            ) from error

    async def aclose(self) -> None:
        """Close the session; a later call opens a new one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            headers = {"Content-Type": "application/json"}
            if self._api_key:
                headers["Authorization"] = f"Bearer {self._api_key}"
            proxy, login = _proxy(self._chat_url)
            # What a session does for browsers (cookies, a look at the environment for every request) takes longer
            # than the request itself.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency, keepalive_timeout=KEEP_ALIVE_SECONDS),
                headers=headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=proxy,
                proxy_auth=login,
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        # What is sent compressed may be larger than it says; the usual small reply is read in one go.
        if "Content-Encoding" not in response.headers and 0 <= (response.content_length or -1) <= MAX_REPLY_BYTES:
            return await response.read()
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > MAX_REPLY_BYTES:
                raise self._broken(f"a reply larger than {MAX_REPLY_BYTES // 1_000_000} MB")
        return bytes(body)

    def _parse(self, response: aiohttp.ClientResponse, body: bytes) -> dict[str, Any]:
        try:
            parsed: Any = from_json(body)
        except (ValueError, RecursionError):
            parsed = None
        if response.status >= 300:
            raise self._refusal(response.status, parsed, body, response.headers)
        if not isinstance(parsed, dict):
            kind = response.headers.get("Content-Type", "no content type").split(";")[0]
            raise self._broken(f"something other than a JSON object ({kind}, {len(body)} bytes)")
        error = parsed.get("error")
        if error and "choices" not in parsed:  # some gateways send errors with status 200
            code = error.get("code") if isinstance(error, dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise self._refusal(status, parsed, body, response.headers)
        return parsed

    def _refusal(self, status: int, parsed: Any, body: bytes, headers: Mapping[str, str]) -> ModelError:
        detail = parsed.get("error", parsed) if isinstance(parsed, dict) else None
        fields = detail if isinstance(detail, dict) else {}
        said = fields.get("message") or (detail if isinstance(detail, str) else body[:2000].decode(errors="replace"))
        text = self._safe(str(said))
        where = f"{self._shown} answered {status}"
        if QUOTA_CODES & {str(fields.get("code")), str(fields.get("type"))} or status == 402:
            return QuotaExhausted(f"the account at {self._shown} has no credit left: top it up ({text})")
        if status in TRANSIENT_STATUS or status >= 500:
            return TransientModelError(
                f"{where}: {text}",
                retry_after=retry_after(headers),
                spent=status in MAYBE_SPENT_STATUS,
                overloaded=status in OVERLOADED_STATUS,
                sign=sign_of(status),
            )
        if status in (401, 403):
            return ModelRefused(f"{where}: the key was not accepted; check the API key's environment variable ({text})")
        if status == 404:
            return ModelRefused(f"{where}: unknown model or address; check the model's name and base URL ({text})")
        return ModelError(f"{where}: {text}")

    def _broken(self, what: str) -> TransientModelError:
        return TransientModelError(f"{self._shown} sent {what}", spent=True)

    def _safe(self, text: str) -> str:
        if self._api_key:
            text = text.replace(self._api_key, REDACTED)  # it may come from an argument, which `redact` cannot know
        return " ".join(redact(text).split())[:SHOWN_CHARACTERS]


def sign_of(status: int) -> Sign:
    """What an answer with this status says of the provider."""
    return "unreachable" if status in UNREACHABLE_STATUS else "failing" if status >= 500 else "serving"


def _proxy(url: URL) -> tuple[URL | None, aiohttp.BasicAuth | None]:
    """The environment's proxy for `url` and the login to it; a proxy for the outside must not catch local servers."""
    try:
        return (None, None) if url.host in LOOPBACK else get_env_proxy_for_url(url)
    except LookupError:
        return None, None


def reply_text(reply: Mapping[str, Any]) -> str:
    """The text of a chat reply's first choice: its content, else its refusal, else nothing."""
    message = reply["choices"][0]["message"]
    content = message.get("content")
    if isinstance(content, list):  # content parts
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or message.get("refusal") or "")


def reply_usage(reply: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Input and output tokens as the provider counted them; None where it did not say."""
    usage = reply.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
