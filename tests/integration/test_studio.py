"""The LangGraph server serves the graph: a small form, a drawing, and a run that ends."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from sage_spo.tests.fakes.causes import tickets, written
from sage_spo.traces.rows import Run
from sage_spo.traces.store import RunStore

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    url: str
    home: Path
    """Its SAGE_HOME."""
    task: str
    """A small task for the embedded model, which is the target where none is named."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`langgraph dev`, run on this repository; one for all tests, since it takes long to start."""
    folder = tmp_path_factory.mktemp("studio")
    home = folder / "sage-home"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    command += ["--config", str(ROOT / "langgraph.json")]
    with (folder / "server.log").open("wb") as log:
        environment = os.environ | {"SAGE_HOME": str(home)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    yield Server(f"http://127.0.0.1:{port}", home, str(written(tickets((12, 6, 6)), folder)))
    process.terminate()
    process.wait(timeout=30)


async def started(server: Server) -> LangGraphClient:
    """A client, once the server answers."""
    client = get_client(url=server.url)
    for _ in range(240):
        try:
            await client.assistants.search()
            return client
        except Exception:  # not up yet: refused, reset, 5xx
            await asyncio.sleep(0.25)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module", autouse=True)
def cron(server: Server) -> str:
    """The id of a job for every minute. Made before the first test, so that none has to wait for its time."""

    async def made() -> str:
        client = await started(server)
        cron = await client.crons.create(
            "optimize",
            schedule="* * * * *",
            timezone="Europe/Berlin",
            input={"task": "reviews", "strategy": "demos"},
            context={"budget": "target_calls=20", "seed": 7},
        )
        return str(cron.get("cron_id"))

    return asyncio.run(made())


async def test_the_server_serves_optimize_with_a_small_form_and_a_run_that_ends(server: Server):
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
        thread["thread_id"], assistant["assistant_id"], input={}, context={"budget": "target_calls=20"}
    )
    assert isinstance(answer, dict)
    assert answer["verdict"] == "budget too small"
    thread = await client.threads.create()
    answer = await client.runs.wait(
        thread["thread_id"],
        assistant["assistant_id"],
        input={"task": server.task},
        context={"budget": "target_calls=80"},
    )
    assert isinstance(answer, dict)
    assert answer["verdict"] in ("improved", "not certified", "unchanged", "inconclusive")
    store = await RunStore.open(server.home)
    try:
        run = await store.run(thread["thread_id"])
    finally:
        await store.close()
    assert run.status == "finished"
    assert run.result is not None
    assert run.result["spend"]["spent"]["target_calls"] <= 80


async def test_the_server_serves_sage_with_its_roles_as_nodes_and_a_run_that_diagnoses(server: Server):
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
        thread["thread_id"],
        assistant["assistant_id"],
        input={"task": server.task},
        context={"budget": "target_calls=100"},
    )
    assert isinstance(answer, dict)
    assert answer["verdict"] in ("improved", "not certified", "unchanged", "inconclusive")
    store = await RunStore.open(server.home)
    try:
        run = await store.run(thread["thread_id"])
        code = await store.code_runs(run.id)
    finally:
        await store.close()
    assert run.strategy == "sage"
    assert run.status == "finished"
    assert any(one.purpose == "standard analyses" and one.error is None for one in code)


async def test_the_server_serves_decide_with_a_small_form_and_a_run_that_ends(server: Server):
    client = await started(server)
    (assistant,) = await client.assistants.search(graph_id="decide")
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    for schema in (schemas["input_schema"], schemas["context_schema"]):
        assert schema is not None
        assert 0 < len(schema["properties"]) <= 5
        for field in schema["properties"].values():
            assert {"default", "title", "description"} <= set(field)
    drawing = await client.assistants.get_graph(assistant["assistant_id"], xray=True)
    names = {str(node["id"]) for node in drawing["nodes"]}
    assert {"prepare", "warm_start", "domain", "choose", "build", "act", "observe", "learn", "publish"} <= names

    thread = await client.threads.create()
    answer = await client.runs.wait(
        thread["thread_id"],
        assistant["assistant_id"],
        input={"environment": "drifting:walk", "method": "thompson"},
        context={"rounds": 5, "seed": 3},
    )
    assert isinstance(answer, dict)
    assert answer["verdict"] == "done"
    async with await RunStore.open(server.home) as store:
        run = await store.run(thread["thread_id"])
        rounds = await store.rounds(run.id)
    assert run.strategy == "decide:thompson"
    assert run.status == "finished"
    assert [row.round for row in rounds] == [1, 2, 3, 4, 5]


async def test_the_server_runs_optimize_at_its_times_as_the_recipe_in_the_docs_has_it(server: Server, cron: str):
    client = await started(server)
    runs: list[Run] = []
    for _ in range(240):
        async with await RunStore.open(server.home) as store:
            runs = [run for run in await store.runs() if run.strategy == "demos"]
        if any(run.status == "finished" for run in runs):
            break
        await asyncio.sleep(0.5)
    # A budget that cannot pay a proof: the run says so and ends without a call.
    assert {run.result["verdict"] for run in runs if run.result} == {"budget too small"}
    assert {run.settings["seed"] for run in runs} == {7}
    assert [str(one["cron_id"]) for one in await client.crons.search()] == [cron]
    await client.crons.delete(cron)
    assert await client.crons.search() == []
