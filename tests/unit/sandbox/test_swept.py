"""What a killed process left in the temporary folder is removed by a later one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sage_spo.sandbox import process


def test_old_files_are_removed_and_young_or_other_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, young, other = (tmp_path / name for name in ("sage-spo-secret-a", "sage-spo-secret-b", "notes"))
    for path in (old, young, other):
        path.write_text("secret")
    for path in (old, other):
        os.utime(path, (0.0, 0.0))
    process._sweep()
    assert sorted(tmp_path.iterdir()) == [other, young]
