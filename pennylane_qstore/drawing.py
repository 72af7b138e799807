"""The native circuits that a QNode's call would send, drawn as text or as a figure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
import pennylane as qml
from pennylane.tape import QuantumScript

from pennylane_qstore.characterization import Characterization
from pennylane_qstore.device import IonQDevice
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.native.frontend.json_circuit import tape_from_json

logger = logging.getLogger(__name__)


class _Drawn(NamedTuple):
    title: str
    tape: QuantumScript
    pulses: int
    pairs: int


def draw(
    qnode: qml.QNode, *, decimals: int = 3, max_circuits: int = 4, max_length: int = 100
) -> Callable[..., str]:
    """Draw the native circuits that a call of the QNode would send; nothing is sent.

    The options of the QNode's ``qstore.ionq`` device decide what is drawn (native gates, what
    is left to the readout); a QNode on another device is drawn as for Forte (ZZ). Wires are
    the machine's; phases and angles of native gates are in turns. For a machine, or a noise model
    of one, fidelity and duration are predicted from its last characterization, which the service
    is asked for (see :meth:`.Characterization.fidelity`).

    Args:
        qnode: the QNode.
        decimals: of phases and angles.
        max_circuits: how many circuits of a batch are drawn.
        max_length: characters in a line.

    Returns:
        A function of the QNode's arguments that returns the drawing.

    **Example**

    >>> @qml.qnode(qml.device("qstore.ionq", wires=2))
    ... def circuit(x):
    ...     qml.RX(x, 0)
    ...     qml.IsingXX(0.5, [0, 1])
    ...     return qml.expval(qml.Z(1))
    >>> print(draw(circuit)(np.pi / 2).splitlines()[0])
    1 circuit for simulator, gateset native
    """

    def drawing(*args: Any, **kwargs: Any) -> str:
        requests, circuits = _circuits(qnode, args, kwargs)
        request = requests[0]
        machine = _machine(qnode.device)
        plural = "s" if len(circuits) > 1 else ""
        lines = [
            f"{len(circuits)} circuit{plural} for {request.backend}, gateset {request.gateset}"
        ]
        for title, tape, pulses, pairs in circuits[:max_circuits]:
            text = qml.drawer.tape_text(
                tape, wire_order=sorted(tape.wires), decimals=decimals, max_length=max_length
            )
            lines += ["", title, text.rstrip()]
            if machine is not None:
                lines.append(machine.predicted(pulses, pairs, len(tape.measurements[0].wires)))
        if len(circuits) > max_circuits:
            lines += ["", f"... and {len(circuits) - max_circuits} more"]
        return "\n".join(lines)

    return drawing


def draw_mpl(
    qnode: qml.QNode, *, circuit: int = 0, decimals: int = 3, style: str | None = None
) -> Callable[..., tuple[Any, Any]]:
    """Draw one of the native circuits that a call of the QNode would send, with matplotlib.

    Args:
        qnode: the QNode.
        circuit: which of them, should there be several.
        decimals: of phases and angles, in turns.
        style: one of PennyLane's drawing styles.

    Returns:
        A function of the QNode's arguments that returns matplotlib's figure and axes.

    Raises:
        ConfigurationError: (when called) the call sends fewer circuits.
    """

    def drawing(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        _, circuits = _circuits(qnode, args, kwargs)
        if not -len(circuits) <= circuit < len(circuits):
            raise ConfigurationError(
                f"circuit={circuit}, but the call sends {len(circuits)} circuit(s), from 0."
            )
        title, tape, *_ = circuits[circuit]
        figure, axes = qml.drawer.tape_mpl(
            tape, wire_order=sorted(tape.wires), decimals=decimals, style=style
        )
        axes.set_title(title, pad=-14)  # the axes fill the figure: above them it would be cut off
        return figure, axes

    return drawing


def _machine(device: Any) -> Characterization | None:
    """Return figures of the device's machine; all unknown where the service does not answer."""
    if not isinstance(device, IonQDevice) or (machine := device.target.machine) is None:
        return None
    try:
        return device.characterization()
    except QStoreError as error:
        logger.info("The characterization of %s could not be read: %s", machine, error)
        return Characterization(machine)


def _circuits(
    qnode: qml.QNode, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], list[_Drawn]]:
    if not isinstance(qnode, qml.QNode):
        raise ConfigurationError(
            f"{qnode!r} is not a QNode. Make one with qml.qnode(device), then call "
            "draw(qnode)(arguments)."
        )
    device = qnode.device
    ours = isinstance(device, IonQDevice)
    level = "device" if ours else "user"
    tapes, _ = qml.workflow.construct_batch(qnode, level=level)(*args, **kwargs)
    requests = (device if ours else IonQDevice()).executor.requests(tapes)
    if not requests:
        raise ConfigurationError("The call sends no circuit.")
    texts = [text for request in requests for text in request.circuits]
    return requests, [
        _drawn(i, len(texts), orjson.loads(text), requests[0].qubits)
        for i, text in enumerate(texts)
    ]


def _drawn(i: int, count: int, gates: list[dict[str, Any]], qubits: int) -> _Drawn:
    tape = tape_from_json({"qubits": qubits, "circuit": gates})
    wires = sorted(qml.wires.Wires.all_wires([op.wires for op in tape.operations]).tolist())
    pairs = sum(len(op.wires) > 1 for op in tape.operations)
    pulses = len(tape.operations) - pairs
    title = (
        f"circuit {i + 1} of {count}: {pairs} two-qubit gate{'s' * (pairs != 1)}, "
        f"{pulses} pulse{'s' * (pulses != 1)}"
    )
    drawn = QuantumScript(tape.operations, [qml.sample(wires=wires)])
    return _Drawn(title, drawn, pulses, pairs)
