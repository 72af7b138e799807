"""Price lists: one formula, monotone in everything; every list of the catalogue can be used."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore import backends
from pennylane_qstore.backends import BACKENDS, Backend
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.prices import (
    FREE,
    PRICES,
    JobSize,
    PriceModel,
    apart,
    exceeds,
    models_of,
    price_model,
)

MODELS = st.sampled_from(list(PRICES.values()))
SIZES = st.builds(
    JobSize,
    n_1q=st.integers(0, 5000),
    n_2q=st.integers(0, 1000),
    circuits=st.integers(1, 500),
    shots=st.integers(1, 10_000),
    mitigated=st.booleans(),
    compute_s=st.none(),
)


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("qpu.forte-1", 100 * (800 * 0.0001645 + 200 * 0.001121)),
        ("qpu.forte-1/circuit", 10 * 25.79),
        ("qpu.aria-1", 100 * (800 * 0.00022 + 200 * 0.000975)),
        ("azure.aria-1", 12.4166 + 100 * (800 * 0.00022 + 200 * 0.000975)),
        ("braket.forte-1", 0.30 + 0.08 * 1000),
        ("compute-second", 100 * (800 * 63e-6 + 200 * 650e-6 + 10 * 200e-6)),
        ("simulator", 0.0),
    ],
)
def test_a_job_of_ten_circuits_on_each_list(name: str, usd: float) -> None:
    assert PRICES[name].price(JobSize(800, 200, 10, 100)) == pytest.approx(usd, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "usd"), [("qpu.forte-1", 168.195), ("qpu.aria-1", 97.5), ("azure.aria-1", 97.50022)]
)
def test_mitigation_has_a_floor_of_its_own(name: str, usd: float) -> None:
    assert PRICES[name].price(JobSize(1, 0, 1, 1, mitigated=True)) == usd


@given(MODELS, SIZES, st.sampled_from(["n_1q", "n_2q", "circuits", "shots"]))
def test_more_is_never_cheaper(model: PriceModel, job: JobSize, what: str) -> None:
    more = job._replace(**{what: getattr(job, what) + 1})
    assert model.price(more) >= model.price(job)
    assert model.price(job._replace(mitigated=True)) >= model.price(job._replace(mitigated=False))
    assert model.per_circuit.price(job) >= model.price(job)


@given(MODELS, SIZES, SIZES)
def test_two_jobs_are_never_cheaper_than_one(
    model: PriceModel, first: JobSize, second: JobSize
) -> None:
    second = second._replace(shots=first.shots, mitigated=first.mitigated)
    joined = first._replace(
        n_1q=first.n_1q + second.n_1q,
        n_2q=first.n_2q + second.n_2q,
        circuits=first.circuits + second.circuits,
    )
    apart = model.price(first) + model.price(second)
    assert model.price(joined) <= apart + 2e-6, "each price is rounded to a millionth"


def test_compute_time_that_is_known_counts() -> None:
    model = replace(PRICES["compute-second"], usd_second=3.0)
    assert model.price(JobSize(10, 10, 1, 10, compute_s=2.0)) == 6.0


def test_every_machine_has_lists_the_dearest_first() -> None:
    job = JobSize(10, 10, 10, 10)
    for name, backend in BACKENDS.items():
        models = models_of(name)
        prices = [model.price(job) for model in models]
        assert prices == sorted(prices, reverse=True)
        assert len(models) == (2 if backend.is_qpu else 1)
        assert all(model.published for model in models) is backend.is_qpu
    assert models_of("simulator") == (FREE,)


def test_a_machine_without_a_list_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Backend("qpu.new-1", 3, ())
    monkeypatch.setattr(backends, "_described", {new.name: new})
    with pytest.raises(ConfigurationError, match=r"no price list of 'qpu\.new-1'. Give prices="):
        models_of(new.name)


def test_a_list_by_name_or_of_ones_own() -> None:
    own = PriceModel(name="contract", usd_shot=0.01)
    assert price_model(own) is own
    assert price_model("qpu.forte-1").price(JobSize(0, 0, 1, 1)) == 25.79
    with pytest.raises(ConfigurationError, match=r"Did you mean 'qpu\.forte-1'"):
        price_model("qpu.forte1")
    with pytest.raises(ConfigurationError, match="name of a price list"):
        price_model(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="backend"):
        models_of("forte")


def test_a_limit_holds_as_many_prices_as_it_is_the_sum_of() -> None:
    for price in (25.79, 12.4166, 168.195):
        spent = 0.0
        for jobs in range(1, 1000):
            assert not exceeds(spent + price, jobs * price)
            assert not exceeds(price, jobs * price - spent)
            assert exceeds(spent + price, jobs * price - 0.0001)
            spent += price


def test_amounts_that_differ_are_not_written_alike() -> None:
    assert apart(25.79, 10.0) == ("$25.79", "$10.00")
    assert apart(168.195, 168.19) == ("$168.195", "$168.190")
    assert apart(25.79, 25.79) == ("$25.79", "$25.79")


@pytest.mark.parametrize(
    "wrong", [{"usd_1q": -1.0}, {"floor_usd": float("nan")}, {"fee_usd": "1"}, {"per": "shot"}]
)
def test_a_wrong_price_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        PriceModel(name="wrong", **wrong)  # type: ignore[arg-type]
