"""Quotes, and the budget that prices have to fit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pennylane_qstore.errors import BudgetExceeded, ConfigurationError, ServiceError
from pennylane_qstore.execution.budget import agreed_prices, quote
from pennylane_qstore.execution.options import Options
from pennylane_qstore.ionq.messages.job_request import JobRequest

PAIR = b'[{"gate":"zz","targets":[0,1],"angle":0.25},{"gate":"gpi","target":0,"phase":0.1}]'


def job(circuits=2):
    return JobRequest("qpu.forte-1", "native", 2, (PAIR,) * circuits, 2 * circuits, 100)


class Client:
    """Estimates by the circuit; notes what it is asked."""

    def __init__(self, cost_usd=3.0):
        self.cost_usd, self.asked = cost_usd, []

    def estimate(self, backend, **figures):
        self.asked.append((backend, figures))
        if isinstance(self.cost_usd, Exception):
            raise self.cost_usd
        cost_usd = None if self.cost_usd is None else self.cost_usd * figures["circuits"]
        return SimpleNamespace(cost_usd=cost_usd, execution_s=1.0, queue_s=figures["circuits"])


def agreed(client, requests, budget_usd=None, left_usd=None, **options):
    options = Options.of({"backend": "qpu.forte-1", "api_key": "k", **options})
    return agreed_prices(client, requests, options, budget_usd, left_usd)


def test_a_quote_sums_its_jobs():
    client = Client()
    found = quote(client, [job(2), job(3)], "qpu.forte-enterprise-1")
    assert (found.cost_usd, found.execution_s, found.queue_s) == (15.0, 2.0, 3)
    assert (found.jobs, found.circuits, found.shots) == (2, 5, 500)
    assert (found.gates_1q, found.gates_2q) == (5, 5)
    assert {backend for backend, _ in client.asked} == {"qpu.forte-enterprise-1"}


def test_a_price_in_another_unit_is_no_price():
    assert quote(Client(None), [job()]).cost_usd is None
    with pytest.raises(ConfigurationError, match="budget_usd cannot be kept"):
        agreed(Client(None), [job()], budget_usd=1.0, left_usd=1.0)


def test_what_fits_the_budget_has_its_prices():
    assert agreed(Client(), [job(2), job(3)], 20.0, 15.0) == [6.0, 9.0]


def test_what_does_not_fit_is_refused_with_both_sums():
    with pytest.raises(BudgetExceeded, match=r"\$15.00, and \$14.99 .* \$20.00") as refused:
        agreed(Client(), [job(2), job(3)], 20.0, 14.99)
    assert refused.value.details == {"estimate_usd": 15.0, "left_usd": 14.99}


def test_the_user_is_asked():
    asked = []

    def confirm(found):
        asked.append(found.cost_usd)
        return len(asked) > 1

    with pytest.raises(BudgetExceeded, match="not confirmed"):
        agreed(Client(), [job()], confirm=confirm)
    assert agreed(Client(), [job()], confirm=confirm) == [6.0]
    assert asked == [6.0, 6.0]


def test_without_a_budget_a_service_without_prices_will_do():
    broken = Client(ServiceError("no", status=500))
    assert agreed(broken, [job()]) == [None]
    with pytest.raises(ServiceError):
        agreed(broken, [job()], budget_usd=1.0, left_usd=1.0)
