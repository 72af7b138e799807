"""The emulator against its own OpenAPI document and against IonQ's, by generated requests."""

from __future__ import annotations

import json
import subprocess
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.server.render import ARTIFACTS

from .conftest import PINNED, PIP

pytestmark = pytest.mark.conformance
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance"
)
BELL = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]
QASM = "OPENQASM 3.0; qubit[1] q; bit[2] c; c[0] = measure q[0]; reset q; c[1] = measure q[0];"


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": "apiKey conformance"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def drive(python: Path, document: str, emulator: Emulator, place: Path, *more: str) -> str:
    """What schemathesis prints; it must find nothing."""
    command = [str(python.parent / "st"), "run", document, "--url", emulator.url]
    command += ["-H", "Authorization: apiKey conformance", "--no-shrink", "-n", "30", *more]
    command += ["--generation-deterministic"]  # with --max-time it repeats itself until then
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=place)
    assert done.returncode == 0, done.stdout[-20_000:]
    return done.stdout


def test_no_undocumented_status_and_no_500(
    environment: Callable[[str], Path], emulator: Emulator, tmp_path: Path
) -> None:
    python, document = environment("schemathesis"), emulator.url + "/api-docs"
    said = drive(python, document, emulator, tmp_path, "--checks", CHECKS + ",ignored_auth")
    assert "29 selected / 29 total" in said
    assert emulator.stats()["requests"] > 1500


def submit(url: str, kind: str, source: dict[str, Any], **more: Any) -> list[str]:
    """The ids of a finished job and of its children."""
    body = {"type": kind, "backend": "simulator", "input": source} | more
    job_id = ask(url + "/jobs", body)["id"]
    while (job := ask(f"{url}/jobs/{job_id}"))["status"] not in ("completed", "failed"):
        pass
    return [job_id, *(job["child_job_ids"] or [])]


def submit_one_of_each(url: str) -> list[str]:
    """Jobs of every type and state that can be told from its JSON."""
    one = {"gateset": "qis", "circuit": BELL}
    many = {"gateset": "qis", "circuits": [{"circuit": BELL, "name": n} for n in "ab"]}
    term = {"pauli_string": "Z", "coefficient": 1.0}
    ansatz = {"data": "OPENQASM 3.0; input float t; qubit q; rx(t) q;"}
    energy = {"hamiltonian": [term], "ansatz": ansatz}
    function = {"data": {"type": "hamiltonian-energy", "data": energy}, "params": [0.3]}
    adjacency = [[{"id": 1}], [{"id": 0}]]
    graph = {"directed": False, "multigraph": False, "graph": [], "adjacency": adjacency}
    cut = {"problem_type": "maxcut", "problem": graph | {"nodes": [{"id": 0}, {"id": 1}]}}
    qpu: dict[str, Any] = {"backend": "qpu.forte-1"}
    noisy = {"noise": {"model": "aria-1", "seed": 3}, "name": "a name", "metadata": {"k": "v"}}
    credentials = {"external_settings": {"api_credentials": "key"}}
    return [
        *submit(url, "ionq.circuit.v1", one),
        *submit(url, "ionq.circuit.v1", one, **noisy),
        *submit(url, "ionq.circuit.v1", one, **qpu, shots=1000),
        *submit(url, "ionq.circuit.v1", one, **qpu, dry_run=True),
        *submit(url, "ionq.multi-circuit.v1", many),
        *submit(url, "ionq.multi-circuit.v1", many, **qpu, shots=600),
        *submit(url, "ionq.qasm3.v1", {"data": QASM}, **noisy),
        *submit(url, "ionq.qasm3.v1", {"data": QASM}, **qpu),  # fails
        *submit(url, "quantum-function", function),
        *submit(url, "qctrl.qaoa.v1", cut, **credentials),
    ]


def allow_what_the_service_sends(schemas: dict[str, Any]) -> None:
    """Where IonQ's document and IonQ's service (as its own clients know it) differ."""
    record = schemas["Characterization"]["properties"]
    for time in record["timing"]["properties"].values():  # fractions of a second, as integers
        time.update(type="number")
        time.pop("minimum", None)
    record["fidelity"]["properties"]["spam"]["properties"]["stderr"]["nullable"] = True
    # two clients read what v0.3 called the message
    schemas["Failure"]["properties"]["error"] = {"type": "string"}
    # three clients read the pointers of early v0.4, which are still sent
    pointer = {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}
    for name in ("CircuitJobResults", "MultiCircuitJobResults"):
        descriptor = {"$ref": "#/components/schemas/ArtifactDescriptor"}
        schemas[name]["additionalProperties"] = {"anyOf": [pointer, descriptor]}
    schemas["Usage"]["properties"]["from"]["format"] = "date-time"  # as ionq-core has found it
    mitigation = schemas["ErrorMitigationOutput"]["properties"]
    mitigation["debiasing"] = {"anyOf": [{"type": "boolean"}, mitigation["debiasing"]]}


def fill_in(document: dict[str, Any], known: dict[str, list[str]]) -> None:
    """Real ids for the paths that read, and the errors that IonQ documents on another page."""
    parameters = document["components"]["parameters"]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status in ("400", "401", "404"):
                operation["responses"].setdefault(
                    status, {"description": "An error", "content": error}
                )
            if method == "delete" or path.endswith(("/cancel", "/end")):
                continue
            for k, parameter in enumerate(operation.get("parameters", [])):
                name = parameter.get("$ref", parameter.get("name", "")).rsplit("/", 1)[-1]
                key = "record" if "characterizations" in path and name.lower() == "uuid" else name
                if key in known:
                    whole = parameters[name] if "$ref" in parameter else parameter
                    schema = {"type": "string", "enum": known[key]}
                    operation["parameters"][k] = whole | {"schema": schema}


def test_ionqs_own_document(
    environment: Callable[[str], Path], emulator: Emulator, tmp_path: Path
) -> None:
    """The document comes with the source of ionq-core, which is generated from it."""
    pip = [*PIP, "download", "--no-deps", "--no-binary", ":all:", PINNED["ionq_core"]]
    pip += ["-d", str(tmp_path)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (source,) = tmp_path.glob("ionq_core-*.tar.gz")
    with tarfile.open(source) as archive:
        member = next(m for m in archive if m.name.endswith("/openapi.json"))
        document = json.load(archive.extractfile(member))  # type: ignore[arg-type]
    url = emulator.url
    session = ask(url + "/sessions", {"backend": "qpu.forte-1", "settings": {}})
    records = ask(url + "/backends/qpu.forte-1/characterizations")["characterizations"]
    known = {
        "UUID": submit_one_of_each(url),
        "record": [record["id"] for record in records],
        "backend": ["qpu.forte-1"],
        "session_id": [session["id"]],
        "organization_id": [session["organization_id"]],
        "artifactId": [*ARTIFACTS, "aggregation-voting", "variant-0"],
        "format": list(ARTIFACTS.values()),
    }
    allow_what_the_service_sends(document["components"]["schemas"])
    fill_in(document, known)
    (tmp_path / "document.json").write_text(json.dumps(document))
    said = drive(
        environment("schemathesis"),
        "document.json",
        emulator,
        tmp_path,
        *("--checks", CHECKS, "--phases", "examples,fuzzing"),
    )
    assert "25/25" in said
    assert "returned 404" not in said
