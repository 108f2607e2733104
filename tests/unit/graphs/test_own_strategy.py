"""Strategies of a user's own, found by entry point: what they can do, and that what they do wrong is one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from sage_spo.errors import StrategyError, UsageError
from sage_spo.graphs.optimize import usable
from sage_spo.graphs.own_strategy import own_strategy
from sage_spo.graphs.registry import STRATEGIES, strategies
from sage_spo.jobs.api import optimize, resume
from sage_spo.jobs.cli import main
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.traces.store import RunStore

Installed = Callable[[str], Path]
ENDING = 'search.champion.edited(text=search.champion.system + " Answer with one word.", origin="own")'


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Puts a package beside sage-spo whose strategy `own` is this source's `own`."""

    def install(source: str) -> Path:
        module = f"own_{abs(hash(source))}"
        info = tmp_path / "site" / "own_package-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[sage_spo.strategies]\nown = {module}:own\nrandom = {module}:own\n")
        file = info.parent / f"{module}.py"
        file.write_text(dedent(source))
        monkeypatch.syspath_prepend(str(info.parent))
        strategies.cache_clear()
        return file

    yield install
    strategies.cache_clear()


def run(**more: object):
    return optimize(make_task(), strategy="own", target=answer, budget="target_calls=900", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_a_function_is_a_strategy(installed: Installed, kind: str):
    installed(f"""
        {kind} own(search):
            return [{ENDING}] if search.iteration == 1 else []
    """)
    result = run()
    assert result.verdict == "improved"
    assert "Answer with one word." in result.prompt.components["system"]
    assert result.stop == "there was nothing new to try"
    assert result.strategy == "own"


def test_a_class_has_options_and_presets(installed: Installed):
    installed(f"""
        from sage_spo import Preset, SearchOptions

        class Options(SearchOptions):
            rounds: int = 1

        class own:
            options = Options
            presets = {{"long": Preset({{"rounds": 3}})}}

            def propose(self, search):
                return [{ENDING}] if search.iteration <= search.options.rounds else []
    """)
    assert run().iterations == 2
    assert run(preset="long").iterations > 2
    with pytest.raises(UsageError, match=r"option 'round' of strategy own: there is no such option\. Did you mean"):
        run(options={"round": 2})


def test_a_prompt_that_was_edited_twice_hangs_on_the_champion(installed: Installed):
    installed("""
        async def own(search):
            search.attempt(0)  # looks at what was tried, and so at the parents of what was refuted
            once = search.champion.edited(text=search.champion.system + f" Round {search.iteration}.", origin="first")
            return [once.edited(text=once.system + " Say nothing.", origin="second")] if search.iteration < 4 else []
    """)
    assert run().iterations == 4


@pytest.mark.parametrize("name", ["certify", "meta_start", "pool", "step", "a:b", "a|b", ""])
def test_a_name_that_no_strategy_can_have_spoils_no_other(name: str):
    with pytest.raises(UsageError, match="cannot have this name"):
        own_strategy(name, EntryPoint(name, "json:loads", "sage_spo.strategies"))


@pytest.mark.parametrize("source", ["1 / 0", "from sage_spo import Strategy\nown = Strategy(lambda: 1 / 0)"])
def test_one_that_cannot_be_built_spoils_no_other(installed: Installed, source: str):
    installed(source)
    assert list(usable()) == list(STRATEGIES)


def test_it_stands_in_help_and_no_package_takes_a_name_of_ours(installed: Installed):
    installed("own = 3")
    assert list(strategies()) == [*STRATEGIES, "own"]
    assert strategies()["own"].summary == "of package own-package"
    assert strategies()["random"] == STRATEGIES["random"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("own = 3", "is neither a function propose"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("other = 3", "cannot be imported: AttributeError"),
        ("class own:\n    options = int\n    def propose(self, search): ...", "must be a subclass of"),
    ],
)
def test_what_is_no_strategy_is_refused_before_anything_is_stored(
    installed: Installed, home: Path, source: str, words: str
):
    installed(source)
    with pytest.raises(UsageError, match=rf"strategy 'own' \(own_\d+:own\).*{words}"):
        run()
    assert not home.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('x')", r"raised KeyError: 'x' \(own_\d+\.py, line 4\)"),
        ("next(iter(()))", r"raised RuntimeError: StopIteration: +\(own_\d+\.py, line 4\)"),
        ("return None", "returned nothing, not a list of prompts"),
        ("return 'Be better.'", "returned a value of type str, not a list"),
        (
            "return [search.champion.edited(text=f'{search.champion.system} {i}', origin='own') for i in range(257)]",
            "returned 257 prompts; at most 256",
        ),
        ("return ['Be better.']", "returned a value of type str among its prompts"),
        ("return [search.champion.edited(text='Be better.', origin='own')]", r"placeholder \{labels\} is missing"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_run_goes_on_once_it_is_mended(
    installed: Installed, home: Path, body: str, words: str
):
    good = f"if search.iteration == 1:\n        return [{ENDING}]"
    installed(f"def own(search):\n    {good}\n    {body}\n")
    with pytest.raises(StrategyError, match=rf"strategy 'own' .*{words}") as caught:
        run(run="mine")
    assert "\n" not in str(caught.value)
    assert "Answer with one word." in caught.value.best_so_far.prompt.components["system"]
    installed(f"def own(search):\n    {good}\n    return []\n")
    assert resume("mine", task=make_task(), target=answer).verdict == "improved"


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasync def own(search):\n    await asyncio.sleep(1000)\n",
        "import time\ndef own(search):\n    time.sleep(1000)\n",
        "import time\ndef own(search):\n    end = time.time() + 3\n    while time.time() < end:\n        pass\n",
    ],
    ids=["waits", "sleeps", "spins"],
)
def test_one_that_hangs_is_left_behind(installed: Installed, home: Path, monkeypatch: pytest.MonkeyPatch, source: str):
    monkeypatch.setenv("SAGE_STRATEGY_SECONDS", "0.5")
    installed(source)
    with pytest.raises(StrategyError, match=r"hangs: for 0\.5 s it has neither returned nor asked anything"):
        run(run="stuck")
    assert asyncio.run(_status(home)) == "failed"


async def _status(home: Path) -> str:
    async with await RunStore.open(home) as store:
        return (await store.run("stuck")).status


def test_on_the_command_line_too(installed: Installed, capsys: pytest.CaptureFixture[str]):
    installed("own = 3")
    assert main(["optimize", "headlines", "--strategy", "own"]) == 2
    assert "is neither a function" in capsys.readouterr().err
