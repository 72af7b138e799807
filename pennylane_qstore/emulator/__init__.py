"""IonQ's v0.4 API on loopback, simulated by PennyLane.

>>> from pennylane_qstore.emulator import Emulator
>>> with Emulator() as emulator:
...     url = emulator.url      # base URL for any IonQ client, any API key

:class:`Emulator` is the server, :func:`embedded` the one of this process that
``qml.device("qstore.ionq")`` uses. What can be made to go wrong is listed in
:mod:`pennylane_qstore.emulator.faults`. aiohttp is imported when an emulator starts.
"""

from pennylane_qstore.emulator.billing import RateCard
from pennylane_qstore.emulator.clock import VirtualClock
from pennylane_qstore.emulator.faults import Fault, Faults
from pennylane_qstore.emulator.host import Emulator, Served, embedded
from pennylane_qstore.emulator.latency import LatencyProfile
from pennylane_qstore.emulator.submission import Rules

__all__ = [
    "Emulator",
    "Fault",
    "Faults",
    "LatencyProfile",
    "RateCard",
    "Rules",
    "Served",
    "VirtualClock",
    "embedded",
]
