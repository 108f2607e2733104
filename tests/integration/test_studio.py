"""The LangGraph server serves the graph: a small form, a drawing, and a run that ends."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from sage_spo.traces.rows import Run
from sage_spo.traces.store import RunStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[str]:
    """The address of `langgraph dev`, run on this repository."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    command += ["--config", str(ROOT / "langgraph.json")]
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"SAGE_HOME": str(home)}, stdout=log, stderr=log)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=30)


async def started(url: str) -> LangGraphClient:
    """A client, once the server answers."""
    client = get_client(url=url)
    for _ in range(240):
        try:
            await client.assistants.search()
            return client
        except Exception:  # not up yet: refused, reset, 5xx
            await asyncio.sleep(0.25)
    raise AssertionError("the server did not start")


async def test_the_server_serves_optimize_with_a_small_form_and_a_run_that_ends(server: str, home: Path):
    client = await started(server)
    (assistant,) = await client.assistants.search(graph_id="optimize")
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    for schema in (schemas["input_schema"], schemas["context_schema"]):
        assert schema is not None
        assert 0 < len(schema["properties"]) <= 5
        for field in schema["properties"].values():
            assert {"default", "title", "description"} <= set(field)
    drawing = await client.assistants.get_graph(assistant["assistant_id"], xray=True)
    names = {str(node["id"]) for node in drawing["nodes"]}
    assert {"prepare", "preflight", "random:propose", "random:validate", "certify", "publish"} <= names

    thread = await client.threads.create()
    answer = await client.runs.wait(
        thread["thread_id"], assistant["assistant_id"], input={}, context={"budget": "target_calls=520"}
    )
    assert isinstance(answer, dict)
    assert answer["verdict"] in ("improved", "not certified", "unchanged", "inconclusive")
    store = await RunStore.open(home)
    try:
        run = await store.run(thread["thread_id"])
    finally:
        await store.close()
    assert run.status == "finished"
    assert run.result is not None
    assert run.result["spend"]["spent"]["target_calls"] <= 520


async def test_the_server_serves_sage_with_its_roles_as_nodes_and_a_run_that_diagnoses(server: str, home: Path):
    client = await started(server)
    (assistant,) = await client.assistants.search(graph_id="sage")
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    assert schemas["input_schema"] is not None
    assert list(schemas["input_schema"]["properties"]) == ["task"]
    drawing = await client.assistants.get_graph(assistant["assistant_id"], xray=True)
    names = {str(node["id"]) for node in drawing["nodes"]}
    roles = ("export", "diagnostician", "triage", "investigate", "proposer", "critic", "attribution", "validator")
    assert {f"sage:{role}" for role in roles} <= names

    thread = await client.threads.create()
    answer = await client.runs.wait(
        thread["thread_id"], assistant["assistant_id"], input={}, context={"budget": "target_calls=560"}
    )
    assert isinstance(answer, dict)
    assert answer["verdict"] in ("improved", "not certified", "unchanged", "inconclusive")
    store = await RunStore.open(home)
    try:
        run = await store.run(thread["thread_id"])
        code = await store.code_runs(run.id)
    finally:
        await store.close()
    assert run.strategy == "sage"
    assert run.status == "finished"
    assert any(one.purpose == "standard analyses" and one.error is None for one in code)


async def test_the_server_runs_optimize_at_its_times_as_the_recipe_in_the_docs_has_it(server: str, home: Path):
    client = await started(server)
    cron = await client.crons.create(
        "optimize",
        schedule="* * * * *",
        timezone="Europe/Berlin",
        input={"task": "reviews", "strategy": "demos"},
        context={"budget": "target_calls=20", "seed": 7},
    )
    runs: list[Run] = []
    for _ in range(240):
        async with await RunStore.open(home) as store:
            runs = await store.runs()
        if runs and runs[0].status == "finished":
            break
        await asyncio.sleep(0.5)
    # A budget that cannot pay a proof: the run says so and ends without a call.
    assert [run.result["verdict"] for run in runs if run.result] == ["budget too small"]
    assert runs[0].settings["seed"] == 7
    cron_id = str(cron.get("cron_id"))
    assert [str(one["cron_id"]) for one in await client.crons.search()] == [cron_id]
    await client.crons.delete(cron_id)
    assert await client.crons.search() == []
