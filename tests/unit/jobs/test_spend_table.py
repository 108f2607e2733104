"""What a run cost: summed up by role and by iteration, and a long run's table cut in the middle."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sage_spo.evaluation.ledger import Spend
from sage_spo.jobs.spend_table import FIRST_LOOK, MOST_ROWS, PROOF, by_iteration, by_role, spend_table
from sage_spo.traces.rows import CallRole, CodeRun, Decision, Spending


def lines(iterations: dict[str, Spend]) -> list[list[str]]:
    """The rows of the table below its heading, as words; names of iterations as one."""
    out = io.StringIO()
    Console(file=out, width=200).print(spend_table({}, iterations))
    rows = out.getvalue().splitlines()[2:]
    return [row.split("  ")[:1] + row.split()[-6:] for row in rows]


def costs(iterations: int) -> dict[str, Spend]:
    """A first look, so many iterations, and a proof; each costs another number of calls."""
    names = [FIRST_LOOK, *map(str, range(1, iterations + 1)), PROOF]
    return {name: Spend(10**i % 9973, 1, 2, 30, 4, 0.5) for i, name in enumerate(names)}


@pytest.mark.parametrize("iterations", [0, 1, MOST_ROWS - 2])
def test_a_table_that_fits_is_shown_whole(iterations: int) -> None:
    names = [row[0] for row in lines(costs(iterations))]
    assert names == [FIRST_LOOK, *(f"iteration {i}" for i in range(1, iterations + 1)), PROOF]


@pytest.mark.parametrize("iterations", [MOST_ROWS - 1, 40, 1000])
def test_of_a_longer_one_the_middle_is_summed_up_in_a_line(iterations: int) -> None:
    found = costs(iterations)
    rows = lines(found)
    assert len(rows) == MOST_ROWS + 1
    first, last = MOST_ROWS // 2, iterations - (MOST_ROWS - MOST_ROWS // 2) + 1
    assert [row[0] for row in rows][: first + 2] == [
        FIRST_LOOK,
        *(f"iteration {i}" for i in range(1, first)),
        f"iterations {first} to {last}",
        f"iteration {last + 1}",
    ]
    assert rows[-1][0] == PROOF
    calls = sum(found[str(i)].calls for i in range(first, last + 1))
    n = last - first + 1
    assert rows[first][1:] == [f"{number:,}" for number in (calls, n, 2 * n, 30 * n, 4 * n)] + [f"{0.5 * n:.4f}"]


def test_nothing_is_lost_whatever_is_hidden() -> None:
    found = costs(77)
    shown = sum(int(row[1].replace(",", "")) for row in lines(found))
    assert shown == sum(spent.calls for spent in found.values())


def spending(role: CallRole, step: int, calls: int, usd: float = 0.0) -> Spending:
    return Spending(role, step, calls, 0, 0, 10 * calls, calls, usd)


def decided(iteration: int, step: int | None) -> Decision:
    stats = {} if step is None else {"step": step}
    return Decision("run", iteration, 0, "p", "c", "not better", "", stats)


STEPS = [
    spending("target", 1, 56),
    spending("agent", 1, 4, 0.2),
    spending("target", 3, 100),
    spending("target", 5, 90),
    spending("certification", 6, 240),
]
CODE = [CodeRun("run", 1, 0, "standard", "", "", (), "", 0.1, usd=0.03)]


def test_steps_belong_to_the_iteration_whose_verdicts_end_them() -> None:
    found = by_iteration(STEPS, CODE, [decided(1, 3), decided(2, 5)])
    assert {place: spent.calls for place, spent in found.items()} == {FIRST_LOOK: 56, "1": 104, "2": 90, PROOF: 240}
    assert found["1"].usd == pytest.approx(0.23)  # the agent's calls and the paid run of code


def test_what_was_cut_off_belongs_to_the_iteration_that_was_under_way() -> None:
    assert by_iteration(STEPS, [], [decided(1, 3)])["2"].calls == 90


def test_a_run_whose_verdicts_do_not_say_their_step_has_no_iterations() -> None:
    assert by_iteration(STEPS, CODE, [decided(1, None)]) == {}


def test_roles_come_in_their_order_and_runs_of_code_are_counted_as_such() -> None:
    found = by_role(reversed(STEPS), CODE)
    assert list(found) == ["target", "certification", "agent", "sandbox"]
    assert (found["target"].calls, found["sandbox"].calls, found["sandbox"].usd) == (246, 1, 0.03)
