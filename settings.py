"""Settings of this installation, from environment variables or a `.env` file. Never stored, never logged."""

from __future__ import annotations

import asyncio
import os
from functools import lru_cache
from pathlib import Path

from dotenv import dotenv_values
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`SAGE_HOME`: where runs live. `SAGE_DATA`: folder with public benchmark data (bbh, gsm8k, formula).

    `SAGE_STRATEGY_SECONDS`: a strategy of a user's own that neither returns nor asks anything for so long hangs.
    """

    model_config = SettingsConfigDict(env_prefix="SAGE_", env_file=".env", extra="ignore")

    home: Path = Field(default_factory=lambda: Path.home() / ".sage-spo")
    data: Path | None = None
    strategy_seconds: float = Field(default=300.0, gt=0)

    @field_validator("home", "data")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return path.expanduser() if path else None


def settings() -> Settings:
    """The settings as they are now (read anew, so that a changed environment counts)."""
    return Settings()


@lru_cache(maxsize=4)
def _dotenv(path: Path, _changed: int) -> dict[str, str | None]:
    return dict(dotenv_values(path))


def _read() -> dict[str, str | None]:
    path = Path.cwd() / ".env"
    try:
        return _dotenv(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError):  # `settings` says what is wrong with it
        return {}


_last_read = _read()


def dotenv() -> dict[str, str | None]:
    """What `.env` in the working folder says now; empty where there is none.

    In an event loop, which must not wait for a disk, what it said when it was last read outside of one: at the latest
    when this module was loaded.
    """
    global _last_read
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _last_read = _read()
    return _last_read


def secret(name: str) -> str | None:
    """A key from the environment, else from `.env` in the working folder; None where it is in neither."""
    return os.environ.get(name) or dotenv().get(name)
