"""The command ``qstore estimate``: the price of a job, or of a training."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from pennylane_qstore.characterization import Characterization
from pennylane_qstore.cli import own_data, plan
from pennylane_qstore.cli.jobs import BaseUrl
from pennylane_qstore.cli.output import Json, show, typed_errors
from pennylane_qstore.cli.seeds import read_shots
from pennylane_qstore.cli.train import Shots, Steps, check_task
from pennylane_qstore.cli.training import Training
from pennylane_qstore.errors import QStoreError

Task = Annotated[
    str | None,
    typer.Option(help="Price the training of a task, by the backend's price list; needs no key."),
]


@typed_errors()
def estimate(
    backend: Annotated[str, typer.Option(help="IonQ's backend id.")] = "qpu.forte-1",
    task: Task = None,
    data: own_data.Data = None,
    target: own_data.Target = None,
    features: own_data.Features = None,
    kind: own_data.Kind = None,
    steps: Steps = None,
    qubits: Annotated[int, typer.Option(min=1, help="Qubits of a circuit.")] = 4,
    shots: Shots = "auto",
    gates_1q: Annotated[
        int, typer.Option("--1q-gates", min=0, help="One-qubit gates per circuit.")
    ] = 20,
    gates_2q: Annotated[
        int, typer.Option("--2q-gates", min=0, help="Two-qubit gates per circuit.")
    ] = 8,
    circuits: Annotated[int, typer.Option(min=1, help="Circuits of the job.")] = 1,
    debiasing: Annotated[bool, typer.Option(help="Price a job with debiasing.")] = False,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Ask the service what a job would cost, or price a training. Nothing is submitted.

    A training is that of a task, or on --data of your own.
    """
    own = own_data.read_own_data(task, data, target, features, kind)
    if task is not None or own is not None:
        if task is not None:
            check_task(task, steps)
        settings = {"task": task, "seed": 1, "shots": read_shots(shots), "backend": "emulator"}
        settings |= own_data.own_settings(own, data)
        options = {"backend": "emulator"}
        training = Training(settings, Path(), options, resume=False, steps=steps, own=own)
        plan.Plan(training.estimate(backend)).show(as_json=as_json)
        return
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.training.tasks.task import evaluated_shots

    number = evaluated_shots(read_shots(shots))
    client = IonQClient(base_url=base_url)
    quote = client.estimate(
        backend,
        qubits=qubits,
        shots=number,
        gates_1q=gates_1q * circuits,
        gates_2q=gates_2q * circuits,
        circuits=circuits,
        error_mitigation=debiasing,
    )
    price = "not in US dollars" if quote.cost_usd is None else f"${quote.cost_usd:,.2f}"
    predicted = {"execution": quote.execution_s, "queue": quote.queue_s}
    lines = [f"{backend}: {price} for {circuits} circuit(s) x {number} shots"]
    lines += [f"predicted {k}: {s:,.1f} s" for k, s in predicted.items() if s is not None]
    machine = Characterization(backend)
    with contextlib.suppress(QStoreError):  # then all is unknown
        machine = client.characterization(backend)
    lines.append(f"each circuit {machine.predicted(gates_1q, gates_2q, qubits)}")
    fidelity = machine.fidelity(gates_1q, gates_2q, qubits)
    show(as_json, {**quote._asdict(), "predicted_fidelity": fidelity}, lines)
