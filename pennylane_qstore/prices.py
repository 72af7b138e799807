"""Price lists of IonQ's machines, and the one formula that prices a job by them.

Contracts differ: pass a :class:`PriceModel` of your own wherever a name is taken. The service's
bills count as spent; a price list only says what a job would cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from pennylane_qstore.backends import ARIA_TIMING, FORTE_TIMING, Timing
from pennylane_qstore.backends import backend as known_backend
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check, check_known, check_number, check_one_of


class JobSize(NamedTuple):
    """The size of a job, as far as its price depends on it.

    Attributes:
        n_1q, n_2q: one- and two-qubit gates, summed over circuits.
        circuits: number of circuits.
        shots: shots of each circuit.
        mitigated: True where error mitigation is on.
        compute_s: quantum compute time in seconds; None where it is not known.
    """

    n_1q: float
    n_2q: float
    circuits: int
    shots: int
    mitigated: bool = False
    compute_s: float | None = None

    @property
    def shots_total(self) -> int:
        """Shots summed over circuits."""
        return self.circuits * self.shots

    def estimated_s(self, timing: Timing) -> float:
        """Return the quantum compute time on a machine, in seconds, by the times of its gates."""
        return timing.compute_s(self.n_1q, self.n_2q, self.circuits, self.shots)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceModel:
    """A price list.

    A job costs its gates, shots and compute time, but no less than the floor, and the fee is
    added.

    Attributes:
        name: of the list.
        published: date of the prices (ISO, as far as known); "" where they are not published.
        source: where they stand.
        usd_1q, usd_2q: per gate and shot, in US dollars.
        usd_shot: per shot of a circuit.
        usd_second: per second of quantum compute time.
        fee_usd, mitigated_fee_usd: added for each job, without and with error mitigation.
        floor_usd, mitigated_floor_usd: least price of the gates, shots and time of a job.
        per: ``"job"``, or ``"circuit"`` where fee and floor are those of every circuit.
        timing: of the machine's gates, from which compute time is estimated.

    Raises:
        ConfigurationError: a price below zero, or an unknown ``per``.
    """

    name: str
    published: str = ""
    source: str = ""
    usd_1q: float = 0.0
    usd_2q: float = 0.0
    usd_shot: float = 0.0
    usd_second: float = 0.0
    fee_usd: float = 0.0
    mitigated_fee_usd: float = 0.0
    floor_usd: float = 0.0
    mitigated_floor_usd: float = 0.0
    per: Literal["job", "circuit"] = "job"
    timing: Timing = FORTE_TIMING

    currency = "USD"

    def __post_init__(self) -> None:
        check_one_of("per", self.per, ("job", "circuit"))
        for name in self.__slots__:
            if "usd" in name:
                check_number(name, getattr(self, name), least=0, unit="US dollars")

    @property
    def per_circuit(self) -> PriceModel:
        """The same list, with fee and floor for every circuit."""
        return replace(self, name=f"{self.name}/circuit", per="circuit")

    def price(self, job: JobSize) -> float:
        """Return the price of a job.

        Circuits of a job are taken as alike: with a floor for every circuit, a job of small and
        large ones costs more than their mean says.

        Args:
            job: its size.

        Returns:
            US dollars.
        """
        gates = job.n_1q * self.usd_1q + job.n_2q * self.usd_2q
        cost = job.shots * (gates + job.circuits * self.usd_shot)
        if self.usd_second:
            seconds = job.compute_s
            if seconds is None:
                seconds = job.estimated_s(self.timing)
            cost += self.usd_second * seconds
        fee = self.mitigated_fee_usd if job.mitigated else self.fee_usd
        floor = self.mitigated_floor_usd if job.mitigated else self.floor_usd
        units = job.circuits if self.per == "circuit" else 1
        return round(max(cost, units * floor) + units * fee, 6)

    def total(self, jobs: Iterable[JobSize]) -> float:
        """Return the price of all jobs, in US dollars."""
        return sum(self.price(job) for job in jobs)


_ROUNDING_USD = 1e-6
_AZURE = "learn.microsoft.com/azure/quantum/pricing"
_BRAKET = "aws.amazon.com/braket/pricing"

FREE = PriceModel(name="simulator")
_ARIA = PriceModel(
    name="qpu.aria-1",
    published="2026-05-25",
    source=_AZURE,
    usd_1q=0.00022,
    usd_2q=0.000975,
    floor_usd=12.4166,
    mitigated_floor_usd=97.5,
    timing=ARIA_TIMING,
)
_FORTE = PriceModel(
    name="qpu.forte-1",
    published="2026-05-25",
    source=_AZURE,
    usd_1q=0.0001645,
    usd_2q=0.001121,
    floor_usd=25.79,
    mitigated_floor_usd=168.195,
)
_BY_GATES = (
    _ARIA, replace(_ARIA, name="qpu.aria-2"),
    _FORTE, replace(_FORTE, name="qpu.forte-enterprise-1"),
)  # fmt: skip
_MODELS = (
    FREE,
    *_BY_GATES,
    *(model.per_circuit for model in _BY_GATES),
    PriceModel(
        name="azure.aria-1", published="2026-05-25", source=_AZURE, usd_1q=0.00022, usd_2q=0.000975,
        fee_usd=12.4166, mitigated_fee_usd=97.5, timing=ARIA_TIMING,
    ),
    *(
        PriceModel(
            name=f"braket.{name}", published="2025", source=_BRAKET, usd_shot=usd, fee_usd=0.30,
            mitigated_fee_usd=0.30, timing=timing,
        )
        for name, usd, timing in (("aria-1", 0.03, ARIA_TIMING), ("forte-1", 0.08, FORTE_TIMING))
    ),
    PriceModel(name="compute-second", usd_second=1.0, source="example of docs.ionq.com, no offer"),
)  # fmt: skip

PRICES: Mapping[str, PriceModel] = MappingProxyType({model.name: model for model in _MODELS})
"""Price lists by name.

``qpu....``: per gate and shot with a floor, as IonQ sells them directly and on the Azure
marketplace (a third party's copy of the page, 2026-05-25; not confirmed by IonQ). The floor is one
of each "program"; whether that is a job of many circuits or each circuit in it is not published,
so ``.../circuit`` has it for every circuit. ``azure.aria-1``: the formula of the same marketplace
that adds the least price, m + .000220 N1q C + .000975 N2q C. ``braket....``: per task and shot; a
program set is one task. ``compute-second``: IonQ's other unit, at its documentation's example of
1 USD, to be replaced by your contract's price."""


def price_model(prices: str | PriceModel) -> PriceModel:
    """Return a price list.

    Args:
        prices: its name, or the list itself.

    Raises:
        ConfigurationError: no list has the name; the message names the nearest.
    """
    if isinstance(prices, PriceModel):
        return prices
    check("prices", prices, isinstance(prices, str), "the name of a price list, or a PriceModel")
    check_known("price list", prices, PRICES)
    return PRICES[prices]


def exceeds(usd: float, limit_usd: float) -> bool:
    """Tell whether an amount is over a limit; sums of floating-point numbers are rounded.

    Args:
        usd: the amount, in US dollars.
        limit_usd: the limit, or what is left of it, in US dollars.

    Returns:
        True where it is over by a millionth of a dollar or more.
    """
    return usd >= limit_usd + _ROUNDING_USD


def apart(usd: float, other_usd: float) -> tuple[str, str]:
    """Write two amounts with as many decimals, two or more, as tell one from the other.

    Args:
        usd: one, in US dollars.
        other_usd: the other, in US dollars.

    Returns:
        The amounts, as ``$1,031.60``.
    """
    decimals = next((d for d in (2, 3, 4, 5) if f"{usd:.{d}f}" != f"{other_usd:.{d}f}"), 6)
    decimals = 2 if usd == other_usd else decimals
    return f"${usd:,.{decimals}f}", f"${other_usd:,.{decimals}f}"


def models_of(backend: str) -> tuple[PriceModel, ...]:
    """Return the lists that may hold for IonQ's jobs on a backend, the dearest first.

    A plan shows the first one where the service itself does not tell the price.

    Args:
        backend: IonQ's id.

    Raises:
        ConfigurationError: the id is not one of IonQ's, or no prices are known for it.
    """
    known_backend(backend)
    names = (f"{backend}/circuit", backend)
    models = tuple(PRICES[name] for name in names if name in PRICES)
    if not models:
        raise ConfigurationError(
            f"This release has no price list of {backend!r}. Give prices=: a PriceModel with what "
            "it costs you, or the name of a list to plan by."
        )
    return models
