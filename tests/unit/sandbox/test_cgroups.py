"""What bounds all runs of a sandbox together, and that nothing of it is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sage_spo.sandbox import cgroups
from sage_spo.sandbox.cgroups import Groups
from sage_spo.sandbox.choose import available
from sage_spo.sandbox.inside.plan import PROCESSES
from sage_spo.sandbox.isolation import Confinement
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.table import Table
from sage_spo.tests.processes import descendants

pytestmark = pytest.mark.skipif(
    not any(layer.name == "cgroup" and layer.holds for layer in available()), reason="no groups can be made here"
)


def test_groups_are_made_with_their_limits_and_removed() -> None:
    groups = cgroups.make(256 << 20)
    try:
        written = {
            name: (folder / name).read_text()
            for folder in groups.folders
            for name in os.listdir(folder)
            if name in ("pids.max", "memory.max", "memory.limit_in_bytes")
        }
        assert sorted(map(int, written.values())) == [PROCESSES, 256 << 20]
    finally:
        groups.remove()
    assert not any(folder.exists() for folder in groups.folders)


def own_groups(pid: int) -> set[str]:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {line.rpartition("/")[2] for line in lines if "sage-spo-" in line}


def there() -> set[str]:
    return {path.name for path in Path("/sys/fs/cgroup").rglob("sage-spo-*")}


async def test_every_process_of_the_sandbox_is_in_its_groups_and_these_end_with_it(table: Table) -> None:
    sandbox = LocalSandbox("local", Confinement(("cgroup", "seccomp", "namespaces")))
    await sandbox.run("", table)
    assert sandbox.pid is not None
    processes = {sandbox.pid} | descendants(sandbox.pid)
    names = own_groups(sandbox.pid)
    assert names
    assert all(own_groups(pid) == names for pid in processes)
    await sandbox.aclose()
    assert not names & there()


def test_what_a_killed_process_left_is_removed_by_the_next_one() -> None:
    left = cgroups.make(256 << 20)
    for folder in left.folders:
        os.utime(folder, (0, 0))
    cgroups.make(256 << 20).remove()
    assert not any(folder.exists() for folder in left.folders)
    left.remove()


def test_where_none_can_be_made_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_mounts", dict)
    with pytest.raises(OSError, match="no group can be made that limits pids"):
        cgroups.make(256 << 20)
    assert Groups().joins == ()


@pytest.mark.parametrize(("own", "made_in"), [("/user/app/one", "user/app"), ("/", ".")])
def test_version_2_groups_stand_beside_ones_own(
    own: str, made_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The files of a version 2 hierarchy; the machine that runs this may have version 1.
    place = tmp_path / made_in
    place.mkdir(parents=True, exist_ok=True)
    (place / "cgroup.subtree_control").write_text("cpu memory pids\n")
    monkeypatch.setattr(cgroups, "_mounts", lambda: {"cgroup2": ("/", tmp_path)})
    monkeypatch.setattr(cgroups, "_groups", lambda: {"": own})
    groups = cgroups.make(256 << 20)
    [folder] = groups.folders
    assert folder.parent == place
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {"pids.max": str(PROCESSES), "memory.max": str(256 << 20), "memory.swap.max": "0"}
