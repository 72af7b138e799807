"""IonQ's v0.4 API on loopback, simulated by PennyLane.

>>> from pennylane_qstore.emulator import Emulator
>>> with Emulator() as emulator:
...     url = emulator.url      # base URL for any IonQ client, any API key

:class:`Emulator` is the server, :func:`embedded` the one of this process that
``qml.device("qstore.ionq")`` uses. It takes circuits (one or up to 5,000), OpenQASM 3,
quantum functions and Q-CTRL's QAOA; what IonQ does not publish about the last two is said in
:mod:`pennylane_qstore.server.inputs.hybrid`. What can be set:

- **Physics**: ``noise_model=``, ``seed=``, ``machine_noise=`` for errors by qubit and pair; QPU
  backends are noisy, have readout errors, give counts and single shots, and where they debias,
  ``sharpen=true`` takes a vote. ``simulator="lightning.gpu"`` and the like run the ideal
  circuits.
- **Time**: ``profile="none"`` (a job completes as fast as it is simulated), ``"q-store"``,
  ``"ionq-simulator"``, ``"qpu"``, or a :class:`LatencyProfile`; with
  ``clock=VirtualClock()`` an hour's queue takes ``clock.advance(3600)``.
- **Money**: ``budget_usd=``, ``prices=``; ``emulator.stats()`` has the bill.
- **Faults**: ``faults=[Fault("status", "submit", status=429, retry_after=1)]``, see
  :mod:`pennylane_qstore.emulator.faults`.
- **Doubt**: where IonQ's behaviour is not documented, :class:`ServiceBehaviour` switches it.
- **State**: ``state="jobs.db"`` keeps jobs over a restart.

The page at ``http://127.0.0.1:PORT/`` shows the jobs live; ``/admin/faults``,
``/admin/clock`` and ``/admin/stats`` do from outside what the object does from inside.
aiohttp is imported when an emulator starts.
"""

from pennylane_qstore.emulator.emulator import Emulator, embedded
from pennylane_qstore.emulator.faults import Fault, Faults
from pennylane_qstore.emulator.service.clock import VirtualClock
from pennylane_qstore.emulator.service.latency import LatencyProfile
from pennylane_qstore.emulator.simulation.machine import MachineNoise
from pennylane_qstore.server.access import RequestRecord
from pennylane_qstore.server.service import ServiceBehaviour

__all__ = [
    "Emulator",
    "Fault",
    "Faults",
    "LatencyProfile",
    "MachineNoise",
    "RequestRecord",
    "ServiceBehaviour",
    "VirtualClock",
    "embedded",
]
