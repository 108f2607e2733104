"""What is kept of a diagnosis: every run of code in a place of its own."""

from __future__ import annotations

from sage_spo.graphs.diagnosis import beside
from sage_spo.sandbox.protocol import Sandbox
from sage_spo.tests.fakes.causes import PHONE, failing_for, records_of, tickets, workspace_of
from sage_spo.traces.rows import CodeRun

TASK = tickets((24, 4, 4))
RECORDS = records_of(TASK, failing_for(PHONE))


async def test_one_of_several_diagnosticians_has_findings_of_its_own_after_the_shared_ones(sandbox: Sandbox):
    shared = workspace_of(TASK, RECORDS, sandbox)
    await shared.run("emit('a', 1)", "standard analyses")
    one, two = beside(shared, 0), beside(shared, 1)
    await one.run("emit('b', 2)", "one")
    await two.run("emit('c', 3)", "two")
    assert [(f.id, f.name) for f in one.findings] == [("F1", "a"), ("F2", "b")]
    assert [(f.id, f.name) for f in two.findings] == [("F1", "a"), ("F2", "c")]
    assert [f.id for f in shared.findings] == ["F1"]


async def test_runs_of_code_never_overwrite_each_other_however_many_predicates_are_run_one_by_one(sandbox: Sandbox):
    kept: list[CodeRun] = []
    shared = workspace_of(TASK, RECORDS, sandbox, keep=kept.append)
    for opinion in range(2):
        await beside(shared, opinion).run(f"print({opinion})", f"diagnostician {opinion + 1}")
    await shared.masks([f"__import__('os')._exit({n})" for n in range(120)])
    places = [run.index for run in kept]
    assert len(set(places)) == len(places) > 120
