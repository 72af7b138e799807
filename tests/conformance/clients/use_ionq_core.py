"""Scenarios for ionq-core. Usage: python use_ionq_core.py URL SCENARIO."""

import asyncio
import datetime
import json
import sys
import warnings

from ionq_core import (
    BadRequestError,
    IonQClient,
    JobFailedError,
    SessionManager,
    async_wait_for_job,
    iter_jobs,
    models,
    wait_for_job,
)
from ionq_core.api.backends import get_backend, get_backends
from ionq_core.api.characterizations import get_characterization, get_characterizations_for_backend
from ionq_core.api.default import (
    cancel_job,
    cancel_jobs,
    clone_job,
    create_job,
    delete_job,
    delete_jobs,
    estimate_job_cost,
    get_job,
    get_job_artifact,
    get_job_cost,
    get_job_probabilities,
    get_session_jobs,
    get_sessions,
    move_job,
)
from ionq_core.api.schemas import get_format_schema
from ionq_core.api.usage import get_usages
from ionq_core.api.whoami import get_whoami

warnings.simplefilter("ignore")

client = IonQClient(api_key="conformance", base_url=sys.argv[1])
QIS = [
    {"gate": "h", "target": 0},
    {"gate": "rx", "target": 1, "rotation": 0.4},
    {"gate": "cnot", "control": 0, "target": 1},
    {"gate": "ry", "target": 0, "rotation": 0.3},
    {"gate": "zz", "targets": [0, 1], "rotation": 0.7},
    {"gate": "v", "target": 1},
]


def payload(backend="simulator", circuit=QIS, gateset="qis", **more):
    return models.CircuitJobCreationPayload.from_dict(
        {
            "type": "ionq.circuit.v1",
            "backend": backend,
            "shots": 1000,
            "input": {"gateset": gateset, "qubits": 2, "circuit": circuit},
            **more,
        }
    )


def _plain(value):
    return value if isinstance(value, dict) else value.to_dict()


def submit(**more):
    return create_job.sync(client=client, body=payload(**more)).id


def single():
    job = wait_for_job(client, submit(metadata={"k": "v"}, name="a name"))
    found = get_job_probabilities.sync(job.id, client=client).to_dict()
    assert isinstance(job, models.SingleCircuitJob)
    return [found, job.metadata.to_dict(), job.name]


def artifacts():
    job = wait_for_job(client, submit(backend="qpu.forte-1"))
    found = {}
    for key, entry in _plain(job.results).items():
        if "id" in entry:
            response = get_job_artifact.sync_detailed(job.id, entry["id"], client=client)
            assert response.status_code == 200, key
            found[key] = json.loads(response.content)
    schemas = {
        key: get_format_schema.sync_detailed(key, client=client).status_code.value for key in found
    }
    return [found, schemas]


def batch():
    body = models.JSONMultiCircuitJob.from_dict(
        {
            "type": "ionq.multi-circuit.v1",
            "backend": "simulator",
            "input": {
                "gateset": "qis",
                "qubits": 2,
                "circuits": [
                    {"name": f"c{i}", "circuit": [{"gate": "rx", "target": 0, "rotation": x}]}
                    for i, x in enumerate((0.1, 0.5, 0.9))
                ],
            },
        }
    )
    job = wait_for_job(client, create_job.sync(client=client, body=body).id)
    assert isinstance(job, models.MultiCircuitJob)
    (entry,) = [e for e in _plain(job.results).values() if "id" in e]
    content = get_job_artifact.sync_detailed(job.id, entry["id"], client=client).content
    children = [get_job.sync(child, client=client) for child in job.child_job_ids]
    return [json.loads(content), job.child_job_ids, [c.name for c in children]]


def native():
    circuit = [
        {"gate": "gpi2", "target": 0, "phase": 0.1},
        {"gate": "gpi", "target": 1, "phase": 0.35},
        {"gate": "ms", "targets": [0, 1], "phases": [0.05, 0.2], "angle": 0.15},
        {"gate": "gpi2", "target": 0, "phase": 0.6},
    ]
    job = wait_for_job(client, submit(circuit=circuit, gateset="native"))
    return get_job_probabilities.sync(job.id, client=client).to_dict()


def failure():
    circuit = [{"gate": "ms", "targets": [0, 1], "phases": [0, 0]}]
    try:
        wait_for_job(client, submit(backend="qpu.forte-1", circuit=circuit, gateset="native"))
    except JobFailedError as error:
        return [error.failure.code, error.failure.message]
    return None


def lifecycle():
    a, b, c, d, e = (submit(backend="qpu.forte-1") for _ in range(5))
    out = [cancel_job.sync(a, client=client).status]
    ids = models.JobsBulkOperationRequest(ids=[b, c])
    out.append(cancel_jobs.sync(client=client, body=ids).ids == [b, c])
    out.append(get_job.sync(b, client=client).status)
    clone = clone_job.sync(d, client=client, body=models.CloneJobPayload(shots=7))
    out.append(get_job.sync(clone.id, client=client).shots)
    moved = move_job.sync(e, client=client, body=models.CloneJobPayload(backend="simulator"))
    out.append([get_job.sync(i, client=client).backend for i in (moved.id, e)])
    out.append(get_job.sync(e, client=client).status)
    out.append(delete_job.sync(a, client=client).status)
    out.append(delete_jobs.sync(client=client, body=ids).status)
    out.append([job.id for job in iter_jobs(client, limit=2)] == [moved.id, clone.id, e, d])
    out.append(get_job_cost.sync(d, client=client).to_dict())
    return out


def listing():
    ids = [submit(name=f"job {k}") for k in range(7)]
    pages = [job.id for job in iter_jobs(client, limit=3)]
    done = [job.id for job in iter_jobs(client, status="completed", target="simulator")]
    none = [job.id for job in iter_jobs(client, status="failed")]
    return [pages == ids[::-1], sorted(done) == sorted(ids), none]


def session():
    with SessionManager(client, "qpu.forte-1", max_jobs=1, max_time=10, max_cost=500) as opened:
        job = submit(backend="qpu.forte-1", session_id=opened.session_id)
        inside = [j.id for j in get_session_jobs.sync(opened.session_id, client=client).jobs]
        before = opened.status()
        try:
            submit(backend="qpu.forte-1", session_id=opened.session_id)
            second = None
        except BadRequestError as error:
            second = error.status_code
    after = opened.status()
    return [
        inside == [job],
        str(before),
        second,
        str(after),
        len(get_sessions.sync(client=client).sessions),
    ]


def dry_run():
    job = wait_for_job(client, submit(backend="qpu.forte-1", dry_run=True))
    circuits = _plain(job.output.compilation.compiled_circuits)
    entry = circuits["ionq.native.v1"]
    content = get_job_artifact.sync_detailed(job.id, entry["id"], client=client).content
    cost = get_job_cost.sync(job.id, client=client)
    return [job.results, json.loads(content), cost.to_dict()]


def estimate():
    found = estimate_job_cost.sync(
        client=client,
        backend="qpu.forte-1",
        shots=1000,
        qubits=2,
        field_1q_gates=5,
        field_2q_gates=2,
    )
    return found.to_dict()


def quantum_function():
    ansatz = 'OPENQASM 3.0; include "stdgates.inc"; input float[64] t; qubit[1] q; ry(t) q[0];'
    body = models.QuantumFunctionJobCreationPayload.from_dict(
        {
            "type": "quantum-function",
            "backend": "simulator",
            "input": {
                "data": {
                    "type": "hamiltonian-energy",
                    "data": {
                        "hamiltonian": [
                            {"pauli_string": "Z0", "coefficient": 0.5},
                            {"pauli_string": "X", "coefficient": -0.25},
                        ],
                        "ansatz": {"data": ansatz},
                    },
                },
                "params": [0.8],
            },
        }
    )
    job = wait_for_job(client, create_job.sync(client=client, body=body).id)
    return [type(job).__name__, job.results.value, job.output["energy"]]


def qaoa():
    body = models.QctrlQaoaJobCreationPayload.from_dict(
        {
            "type": "qctrl.qaoa.v1",
            "backend": "simulator",
            "shots": 200,
            "input": {
                "problem_type": "maxcut",
                "problem": {
                    "directed": False,
                    "multigraph": False,
                    "graph": [],
                    "nodes": [{"id": 0}, {"id": 1}, {"id": 2}],
                    "adjacency": [[{"id": 1}], [{"id": 0}, {"id": 2}], [{"id": 1}]],
                },
            },
            "external_settings": {"api_credentials": "a key"},
        }
    )
    job = wait_for_job(client, create_job.sync(client=client, body=body).id)
    child = get_job.sync(job.child_job_ids[0], client=client)
    return [type(job).__name__, job.results.to_dict(), [type(child).__name__, child.type_]]


def debiasing():
    job = wait_for_job(client, submit(backend="qpu.forte-1"))
    mitigation = job.output.error_mitigation
    variants = mitigation.debiasing.variants
    averaged, sharp = (
        get_job_probabilities.sync(job.id, client=client, sharpen=vote).to_dict()
        for vote in (False, True)
    )
    methods = sorted(mitigation.aggregations.to_dict())
    return [len(variants), sum(v.shots for v in variants), methods, averaged, sharp]


def everything_else():
    day = datetime.date(2020, 1, 1)
    organization = get_sessions.sync(client=client).organization_id
    submit()
    found = get_characterizations_for_backend.sync("qpu.forte-1", client=client, limit=3)
    one = get_characterization.sync("qpu.forte-1", found.characterizations[0].id, client=client)
    usage = get_usages.sync(
        organization,
        client=client,
        start_date=day,
        end_date=datetime.date(2100, 1, 1),
        group_by="job",
        modality="monthly",
    )
    return [
        [b.backend for b in get_backends.sync(client=client)],
        get_backend.sync("qpu.forte-1", client=client).qubits,
        len(found.characterizations),
        one.qubits,
        str(get_whoami.sync(client=client).key_name),
        usage.job_count,
    ]


def concurrent():
    async def one(x):
        circuit = [{"gate": "rx", "target": 0, "rotation": x}]
        made = await create_job.asyncio(client=client, body=payload(circuit=circuit))
        job = await async_wait_for_job(client, made.id, poll_interval=0.01)
        return (await get_job_probabilities.asyncio(job.id, client=client)).to_dict()["0"]

    async def main():
        return await asyncio.gather(*(one(0.1 * k) for k in range(64)))

    return asyncio.run(main())


print(json.dumps(globals()[sys.argv[2]]()))
