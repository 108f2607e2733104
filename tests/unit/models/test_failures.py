"""Other people's errors as ours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sage_spo.errors import ModelError, ModelRefused, TransientModelError
from sage_spo.models.client import QuotaExhausted
from sage_spo.models.failures import model_error


class ProviderError(Exception):
    """As the providers' packages raise them."""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.__dict__.update(fields)


class ReadTimeout(Exception):
    """Known by its name alone."""


def test_a_status_decides() -> None:
    busy = model_error(ProviderError("busy", status_code=429), "x:m")
    assert isinstance(busy, TransientModelError)
    assert not busy.spent
    late = model_error(ProviderError("late", status_code=504), "x:m")
    assert isinstance(late, TransientModelError)
    assert late.spent
    assert type(model_error(ProviderError("bad", status_code=400), "x:m")) is ModelError
    assert isinstance(model_error(ProviderError("no key", status_code=401), "x:m"), ModelRefused)


def test_the_response_may_carry_status_and_wish() -> None:
    response = SimpleNamespace(status_code=503, headers={"Retry-After": "4"})
    found = model_error(ProviderError("down", response=response), "x:m")
    assert isinstance(found, TransientModelError)
    assert found.retry_after == 4.0


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError("reset"), ReadTimeout("slow")])
def test_time_outs_and_broken_connections_may_pass_and_may_have_cost(error: Exception) -> None:
    found = model_error(error, "x:m")
    assert isinstance(found, TransientModelError)
    assert found.spent


def test_an_empty_account_is_told_from_a_rate_limit() -> None:
    assert isinstance(
        model_error(ProviderError("no", status_code=429, code="insufficient_quota"), "x:m"), QuotaExhausted
    )


def test_anything_else_is_permanent_and_says_whose_it_is() -> None:
    found = model_error(KeyError("field"), "python:app.answer")
    assert type(found) is ModelError
    assert str(found) == "python:app.answer: KeyError: 'field'"


def test_our_own_errors_stay_as_they_are() -> None:
    error = QuotaExhausted("no credit")
    assert model_error(error, "x:m") is error


def test_secrets_are_taken_out() -> None:
    found = model_error(ProviderError("bad key sk-abcdefgh12345678", status_code=401), "x:m")
    assert "abcdefgh" not in str(found)
