"""The network: its arithmetic against plain definitions, and that a fit repeats exactly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sage_spo.evaluation.choosing.arms import Arms
from sage_spo.evaluation.choosing.network import BETA1, BETA2, EPSILON, Network, fit, initial
from sage_spo.evaluation.choosing.options import FAITHFUL, NetworkOptions
from sage_spo.seeding import generator

SMALL = NetworkOptions(projection=None, hidden=16, iterations=200, decay=0.1)


def data(rows: int = 12, inputs: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(1, "data")
    x = rng.standard_normal((rows, inputs)).astype(np.float32)
    return x, np.sin(x[:, 0]).astype(np.float32)


def adam_as_published(start: Network, x: np.ndarray, y: np.ndarray, options: NetworkOptions) -> np.ndarray:
    """Kingma and Ba, algorithm 1, in double precision, with the gradient by finite differences' exact form."""
    w = start.weights.astype(np.float64)
    m, v, h, d = np.zeros_like(w), np.zeros_like(w), start.hidden, start.inputs
    for t in range(1, options.iterations + 1):
        w1, b1, w2, b2 = w[: d * h].reshape(d, h), w[d * h : d * h + h], w[d * h + h : -1], w[-1]
        a = x @ w1 + b1
        z = np.where(a > 0, a, 0)
        e = 2 * (z @ w2 + b2 - y) / len(x)
        back = e[:, None] * w2 * (a > 0)
        g = np.concatenate([(x.T @ back).ravel(), back.sum(0), e @ z, [e.sum()]]) + options.decay / len(x) * w
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
        w = w - options.rate * (m / (1 - BETA1**t)) / (np.sqrt(v / (1 - BETA2**t)) + EPSILON)
    return w


def test_a_fit_is_adam_with_weight_decay_as_published() -> None:
    x, y = data()
    start = initial(5, SMALL, seed=0)
    found = fit(start, x, y, np.ones(12, np.float32), SMALL)
    np.testing.assert_allclose(found.weights, adam_as_published(start, x, y, SMALL), atol=2e-4)
    assert np.abs(found.predict(x) - y).max() < np.abs(start.predict(x) - y).max()


def test_rows_seen_often_weigh_as_often() -> None:
    x, y = data(4)
    start = initial(5, SMALL, seed=0)
    repeated = fit(start, x[[0, 0, 0, 1, 2, 3]], y[[0, 0, 0, 1, 2, 3]], np.ones(6, np.float32), SMALL)
    counted = fit(start, x, y, np.array([3, 1, 1, 1], np.float32), SMALL)
    np.testing.assert_allclose(counted.predict(x), repeated.predict(x), atol=1e-4)


def test_a_fit_repeats_to_the_last_bit_also_beside_others() -> None:
    x, y = data(100, 40)
    options = NetworkOptions(projection=None, hidden=64, iterations=60, batch=32)
    start, ones = initial(40, options, seed=3), np.ones(100, np.float32)
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(lambda _: fit(start, x, y, ones, options, 3).weights, range(4)))
    assert all(np.array_equal(fits[0], other) for other in fits)
    assert np.array_equal(start.weights, initial(40, options, seed=3).weights)
    assert not np.array_equal(start.weights, initial(40, options, seed=4).weights)


def test_every_combination_is_predicted_as_its_written_out_row() -> None:
    rng = generator(2, "tables")
    arms = Arms([rng.standard_normal((7, 4)), rng.standard_normal((5, 3))], projection=None, seed=0)
    network = initial(arms.inputs, SMALL, seed=0)
    assert (arms.size, arms.parts(3 * 5 + 2)) == (35, (3, 2))
    rows = arms.rows(np.arange(35))
    np.testing.assert_allclose(network.predict_all(arms.tables), network.predict(rows), atol=1e-5)


def test_inputs_are_standardised_and_a_constant_column_is_nothing() -> None:
    table = generator(0, "t").standard_normal((50, 3)) * [1, 100, 0] + [5, -3, 7]
    rows = Arms(table, projection=None, seed=0).rows(np.arange(50))
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=0), [1, 1, 0], atol=1e-4)


def test_the_projection_keeps_distances_and_is_the_seeds() -> None:
    table = generator(0, "t").standard_normal((20, 3072))
    rows = Arms(table, projection=256, seed=1).rows(np.arange(20))
    assert rows.shape == (20, 256)
    assert np.array_equal(rows, Arms(table, projection=256, seed=1).rows(np.arange(20)))
    assert not np.array_equal(rows, Arms(table, projection=256, seed=2).rows(np.arange(20)))


def test_the_papers_size() -> None:
    network = initial(2 * 3072, FAITHFUL, seed=0)
    assert network.w1.shape == (6144, 1536)
    assert (FAITHFUL.iterations, FAITHFUL.rate, FAITHFUL.batch, FAITHFUL.projection) == (1000, 1e-3, None, None)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((0, 3)), "matrix of rows"),
        (np.zeros(4), "matrix of rows"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), "embedding 1 holds a number that is not finite"),
    ],
)
def test_tables_that_cannot_be(table: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arms(table, projection=None, seed=0)


@pytest.mark.parametrize("change", [{"hidden": 0}, {"rate": float("nan")}, {"iterations": -1}, {"decay": -0.1}])
def test_options_that_cannot_be(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        NetworkOptions(**change)  # type: ignore[arg-type]
