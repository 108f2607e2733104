"""Every test has a SAGE_HOME of its own, and no key or setting of the person who runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# The tests start some hundred Python processes. Where compiled modules are not kept, as containers have it, each of
# these compiles LangGraph and pandas anew, which takes longer than all else that it does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own SAGE_HOME."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "SAGE_DATA", "SAGE_PRICES", "E2B_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "sage-home"
    monkeypatch.setenv("SAGE_HOME", str(folder))
    return folder
