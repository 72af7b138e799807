"""Scenarios for cirq-ionq. Usage: python use_cirq_ionq.py URL SCENARIO."""

import json
import sys
import warnings

import cirq
import cirq_ionq
import numpy as np

warnings.simplefilter("ignore")

service = cirq_ionq.Service(
    remote_host=sys.argv[1].removesuffix("/v0.4"), api_key="conformance", default_target="simulator"
)
Q = cirq.LineQubit.range(2)


def circuit(x):
    return cirq.Circuit(
        cirq.H(Q[0]),
        cirq.rx(x)(Q[1]),
        cirq.CNOT(Q[0], Q[1]),
        cirq.ry(0.3)(Q[0]),
        cirq.ZZPowGate(exponent=0.4, global_shift=-0.5)(Q[0], Q[1]),
        cirq.X(Q[1]) ** 0.5,
        cirq.measure(*Q, key="m"),
    )


def vector(result):
    return [result.probabilities().get(k, 0.0) for k in range(4)]


def single():
    return vector(service.create_job(circuit(0.4), repetitions=100).results(polling_seconds=1))


def batch():
    job = service.create_batch_job([circuit(x) for x in (0.1, 0.5, 0.9)], repetitions=100)
    return [vector(result) for result in job.results()]


def native(gate=None):
    c = cirq.Circuit(
        cirq_ionq.GPI2Gate(phi=0.1)(Q[0]),
        cirq_ionq.GPIGate(phi=0.35)(Q[1]),
        cirq_ionq.MSGate(phi0=0.05, phi1=0.2, theta=0.15)(*Q) if gate is None else gate,
        cirq_ionq.GPI2Gate(phi=0.6)(Q[0]),
        cirq.measure(*Q, key="m"),
    )
    return vector(service.create_job(c, repetitions=100).results())


def native_zz():
    return native(cirq_ionq.ZZGate(theta=0.15)(*Q))


def pauliexp():
    """Diagonal in the basis that is measured after the second layer of H: two equal outcomes."""
    phasor = cirq.PauliStringPhasor(cirq.Z(Q[0]) * cirq.Z(Q[1]), exponent_neg=0.4)
    c = cirq.Circuit(cirq.H(Q[0]), phasor, cirq.H(Q[0]), cirq.measure(*Q, key="m"))
    return vector(service.create_job(c, repetitions=100).results())


def qpu():
    job = service.create_job(circuit(0.4), repetitions=1000, target="qpu.forte-1")
    counts = job.results().counts()
    return {str(k): int(v) for k, v in counts.items()}


def failure():
    job = service.create_job(
        cirq.Circuit(cirq.X(cirq.LineQubit(40)), cirq.measure(cirq.LineQubit(40))), repetitions=10
    )
    try:
        job.results()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


def cancel_and_delete():
    job = service.create_job(circuit(0.4), repetitions=10)
    found = service.get_job(job.job_id())
    found.cancel()
    cancelled = found.status()
    job.delete()
    deleted = job.status()
    try:
        service.get_job(job.job_id())
        after = None
    except Exception as error:
        after = type(error).__name__
    return [cancelled, deleted, after]


def listing():
    ids = [service.create_job(circuit(x), repetitions=10).job_id() for x in (0.1, 0.2, 0.3)]
    return [ids, [job.job_id() for job in service.list_jobs(limit=3)]]


def sampler():
    result = service.sampler(seed=3).run(circuit(0.4), repetitions=4000)
    return float(np.mean(result.measurements["m"][:, 1]))


def dry_run():
    job = service.create_job(circuit(0.4), repetitions=10, dry_run=True)
    return job.status()


print(json.dumps(globals()[sys.argv[2]]()))
