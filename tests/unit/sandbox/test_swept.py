"""What a killed process left, files and groups, is removed by a later one."""

from __future__ import annotations

import os
from pathlib import Path

from sage_spo.sandbox.process import _PREFIX
from sage_spo.sandbox.sweep import sweep


def test_old_files_are_removed_and_young_or_other_ones_stay(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in (f"{_PREFIX}a", f"{_PREFIX}b", "notes"))
    for path in (old, young, other):
        path.write_text("secret")
    for path in (old, other):
        os.utime(path, (0.0, 0.0))
    sweep(tmp_path, _PREFIX, Path.unlink)
    assert sorted(tmp_path.iterdir()) == [other, young]


def test_what_cannot_be_removed_stays_and_keeps_nothing_else(tmp_path: Path) -> None:
    folders = [tmp_path / f"sage-spo-{name}" for name in "abc"]
    for folder in folders:
        folder.mkdir()
    (folders[1] / "in use").touch()
    for folder in folders:
        os.utime(folder, (0.0, 0.0))
    sweep(tmp_path, "sage-spo-", Path.rmdir)
    assert list(tmp_path.iterdir()) == [folders[1]]
