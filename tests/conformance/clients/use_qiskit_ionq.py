"""Scenarios for qiskit-ionq. Usage: python use_qiskit_ionq.py URL SCENARIO."""

import json
import sys
import warnings

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit_ionq import GPI2Gate, GPIGate, IonQProvider, MSGate, Session

warnings.simplefilter("ignore")

SHOTS = 200_000  # qiskit-ionq leaves out outcomes that its own sampling did not draw
provider = IonQProvider("conformance", url=sys.argv[1])


def circuit(x):
    c = QuantumCircuit(3, 3)
    c.h(0)
    c.rx(x, 1)
    c.cx(0, 1)
    c.p(0.4, 0)
    c.cp(0.6, 0, 2)
    c.ccx(0, 1, 2)
    c.rzz(0.5, 0, 1)
    c.sx(2)
    c.csx(0, 1)
    c.swap(1, 2)
    c.measure([0, 1, 2], [0, 1, 2])
    return c


def single():
    backend = provider.get_backend("ionq_simulator")
    return backend.run(circuit(0.4), shots=SHOTS).get_probabilities()


def batch():
    backend = provider.get_backend("ionq_simulator")
    job = backend.run([circuit(x) for x in (0.1, 0.5, 0.9)], shots=SHOTS)
    return job.get_probabilities()


def native():
    backend = provider.get_backend("ionq_simulator", gateset="native")
    c = QuantumCircuit(2, 2)
    c.append(GPI2Gate(0.1), [0])
    c.append(GPIGate(0.35), [1])
    c.append(MSGate(0.05, 0.2, 0.15), [0, 1])
    c.append(GPI2Gate(0.6), [0])
    c.measure([0, 1], [0, 1])
    return backend.run(c, shots=SHOTS).get_probabilities()


def qpu():
    backend = provider.get_backend("ionq_qpu.forte-1")
    job = backend.run(circuit(0.4), shots=1000, memory=True)
    return {"counts": job.get_counts(), "memory": len(job.get_memory()), "status": backend.status()}


def mid_circuit():
    qubits = QuantumRegister(2, "q")
    middle, last = ClassicalRegister(1, "middle"), ClassicalRegister(2, "last")
    c = QuantumCircuit(qubits, middle, last)
    c.ry(0.7, 0)
    c.rzz(0.4, 0, 1)
    c.cx(0, 1)
    c.measure(0, middle[0])
    c.reset(0)
    c.rx(1.1, 0)
    c.cx(1, 0)
    c.measure([0, 1], last)
    backend = provider.get_backend("ionq_simulator")
    job = backend.run(c, shots=4000, noise_model="aria-1", memory=True)
    ideal = backend.run(c, shots=100)
    try:
        ideal.result()
        refused = None
    except Exception as error:
        refused = str(error)
    return {"counts": job.get_counts(), "memory": len(job.get_memory()), "ideal": refused}


def failure():
    backend = provider.get_backend("ionq_simulator", gateset="native")
    backend.set_options(noise_model="forte-1")
    c = QuantumCircuit(2, 2)
    c.append(MSGate(0.05, 0.2, 0.15), [0, 1])
    c.measure([0, 1], [0, 1])
    try:
        backend.run(c, shots=100, noise_model="forte-1").result()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


def cancel():
    backend = provider.get_backend("ionq_simulator")
    job = backend.run(circuit(0.4), shots=1000)
    job.cancel()
    return job.status().name


def session():
    backend = provider.get_backend("ionq_qpu.forte-1")
    with Session(backend, max_jobs=1) as opened:
        job = backend.run(circuit(0.4), shots=600)
        counts = job.get_counts()
        try:
            backend.run(circuit(0.4), shots=600)
            second = None
        except Exception as error:
            second = str(error)
    return {"counts": sum(counts.values()), "second": second, "details": opened.details()}


def dry_run():
    backend = provider.get_backend("ionq_simulator")
    job = backend.run(circuit(0.4), shots=1000, dry_run=True)
    return {"status": job.status().name, "native": job.compiled_circuit("native")}


def estimate():
    client = provider.get_backend("ionq_qpu.forte-1").client
    found = client.estimate_job(
        backend="ionq_qpu.forte-1", oneq_gates=150, twoq_gates=40, qubits=25, shots=1000
    )
    return found.to_dict()


def calibration():
    backend = provider.get_backend("ionq_qpu.forte-1")
    found = backend.calibration()
    return {"qubits": found.qubits, "spam": found.median_spam_fidelity, "n": backend.num_qubits}


print(json.dumps(globals()[sys.argv[2]](), default=str))
