"""Job bodies: the fast encoder means what the plain one means; what is wrong is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.messages.job_request import JobRequest, encode_circuits
from pennylane_qstore.prices import JobSize

NATIVE = {"gpi": (1, 1), "gpi2": (1, 1), "ms": (2, 3), "zz": (2, 1)}
QIS = {"rx": (1, 1), "h": (1, 0), "cnot": (1, 0), "swap": (2, 0), "xx": (2, 1), "zz": (2, 1)}


def plain(gates, row, gateset):
    """The obvious encoder: one dictionary per gate."""
    row = list(row)
    out = []
    for name, targets, *controls in gates:
        gate = {"gate": name}
        for key, wires in [("control", controls[0] if controls else ()), ("target", targets)]:
            if len(wires) == 1:
                gate[key] = wires[0]
            elif wires:
                gate[key + "s"] = list(wires)
        if gateset == "qis":
            if QIS[name][1]:
                gate["rotation"] = row.pop(0)
        elif name == "ms":
            gate["phases"] = [row.pop(0), row.pop(0)]
            gate["angle"] = row.pop(0)
        else:
            gate["angle" if name == "zz" else "phase"] = row.pop(0)
        out.append(gate)
    return out


@st.composite
def batches(draw):
    gateset = draw(st.sampled_from(["native", "qis"]))
    table = NATIVE if gateset == "native" else QIS
    gates = []
    for name in draw(st.lists(st.sampled_from(sorted(table)), max_size=12)):
        wires = draw(st.permutations(range(5)))
        targets = tuple(wires[: table[name][0]])
        controls = wires[4:5] if name == "cnot" else ()
        if gateset == "qis" and name in ("rx", "h"):
            controls = wires[3 : 3 + draw(st.integers(0, 2))]
        gates.append((name, targets, tuple(controls)) if controls else (name, targets))
    slots = sum(table[gate[0]][1] for gate in gates)
    number = st.floats(allow_nan=False, allow_infinity=False)
    rows = draw(st.lists(st.lists(number, min_size=slots, max_size=slots), max_size=4))
    return gateset, gates, np.array(rows, dtype=float).reshape(len(rows), slots)


@given(batches())
@settings(max_examples=300, deadline=None)
def test_encoding_equals_the_plain_encoder(batch):
    gateset, gates, params = batch
    encoded = encode_circuits(gates, params, gateset=gateset)
    assert [json.loads(circuit) for circuit in encoded] == [
        plain(gates, row, gateset) for row in params.tolist()
    ]


def test_example_from_the_contract():
    (circuit,) = encode_circuits([("gpi2", (0,)), ("ms", (0, 1))], [[0.25, 0.0, 0.5, 0.25]])
    assert circuit == (
        b'[{"gate":"gpi2","target":0,"phase":0.25},'
        b'{"gate":"ms","targets":[0,1],"phases":[0.0,0.5],"angle":0.25}]'
    )


def test_circuits_without_slots_are_all_the_same():
    assert encode_circuits([("h", (0,))], np.zeros((3, 0))) == [b'[{"gate":"h","target":0}]'] * 3


def test_non_contiguous_and_integer_parameters_are_taken():
    params = np.arange(8).reshape(4, 2).T  # a transposed view of integers
    first, second = encode_circuits([("gpi", (q,)) for q in range(4)], params)
    assert [gate["phase"] for gate in json.loads(first)] == [0, 2, 4, 6]
    assert [gate["phase"] for gate in json.loads(second)] == [1, 3, 5, 7]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(ConfigurationError, match=r"params\[1, 0\]"):
        encode_circuits([("gpi", (0,))], [[0.1], [bad]])


@pytest.mark.parametrize(
    ("gates", "gateset", "says"),
    [
        ([("rx", (0,))], "native", "not in gateset 'native'"),
        ([("gpi", (0,)), ("h", (0,))], None, "not in gateset 'qis'"),
        ([("gpi", (0, 1))], None, "cannot act on"),
        ([("ms", (0,))], None, "cannot act on"),
        ([("ms", (1, 1))], None, "must differ"),
        ([("gpi", (-1,))], None, "must differ"),
        ([("gpi", (0,), (1,))], None, "takes no controls"),
        ([("cnot", (0,))], None, "needs a control"),
        ([("h", (0,))], "qasm", "Unknown gateset"),
    ],
)
def test_skeletons_that_are_no_circuits_are_refused(gates, gateset, says):
    with pytest.raises(ConfigurationError, match=says):
        encode_circuits(gates, np.zeros((1, 1)), gateset=gateset)


def test_a_wrong_number_of_slots_is_refused():
    with pytest.raises(ConfigurationError, match=r"\[rows, 3\].*\[2, 4\]"):
        encode_circuits([("ms", (0, 1))], np.zeros((2, 4)))


def request(**more):
    values = {
        "backend": "simulator",
        "gateset": "native",
        "qubits": 2,
        "circuits": (b'[{"gate":"gpi","target":0,"phase":0.5}]',),
        "gate_counts": 1,
        "shots": 100,
    }
    return JobRequest(**{**values, **more})


def test_one_circuit_is_a_single_job():
    body = json.loads(request(noise={"model": "aria-1", "seed": None}).body("t" * 32))
    assert body == {
        "type": "ionq.circuit.v1",
        "backend": "simulator",
        "shots": 100,
        "name": "qstore " + "t" * 32,
        "metadata": {"qstore_token": "t" * 32},
        "noise": {"model": "aria-1"},
        "input": {
            "gateset": "native",
            "qubits": 2,
            "circuit": [{"gate": "gpi", "target": 0, "phase": 0.5}],
        },
    }


def test_many_circuits_are_one_multi_circuit_job_with_names():
    circuits = (b"[]", b'[{"gate":"gpi","target":0,"phase":0.5}]', b"[]")
    body = json.loads(
        request(
            circuits=circuits,
            shots=np.int64(7),
            name="my run",
            metadata={"a": "b"},
            session_id="s-1",
            dry_run=True,
            settings={"error_mitigation": {"debiasing": True}},
        ).body("t" * 32)
    )
    assert body["type"] == "ionq.multi-circuit.v1"
    assert body["shots"] == 7
    assert body["name"] == "my run " + "t" * 32
    assert body["metadata"] == {"a": "b", "qstore_token": "t" * 32}
    assert body["session_id"] == "s-1"
    assert body["dry_run"] is True
    assert body["settings"] == {"error_mitigation": {"debiasing": True}}
    assert [c["name"] for c in body["input"]["circuits"]] == ["c0", "c1", "c2"]
    assert body["input"]["circuits"][1]["circuit"][0]["phase"] == 0.5


def test_a_long_name_leaves_room_for_the_token():
    name = json.loads(request(name="n" * 300).body("t" * 32))["name"]
    assert len(name) == 100
    assert name.endswith("t" * 32)


def test_the_payload_hash_tells_what_is_asked_for_and_nothing_else():
    base = request()
    assert base.payload_sha256 == request().payload_sha256
    others = [
        request(shots=101),
        request(circuits=(b"[]",)),
        request(circuits=(b"[]", b"[]")),
        request(noise={"model": "aria-1"}),
        request(aggregation="voting"),
        request(dry_run=True),
    ]
    assert len({base.payload_sha256, *(other.payload_sha256 for other in others)}) == 7
    labels = [request(name="n"), request(metadata={"a": "b"}), request(session_id="s-1")]
    assert {label.payload_sha256 for label in labels} == {base.payload_sha256}


def test_a_part_has_the_chosen_circuits_in_order():
    whole = request(circuits=(b"[0]", b"[1]", b"[2]"))
    assert whole.part([2, 0]).circuits == (b"[2]", b"[0]")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"backend": "QPU"}, "backend id"),
        ({"backend": "qpu/../x"}, "backend id"),
        ({"gateset": "qasm"}, "gateset"),
        ({"qubits": 0}, "qubits"),
        ({"qubits": 65}, "qubits"),
        ({"shots": 0}, "shots"),
        ({"shots": 10**7}, "shots"),
        ({"shots": 1.5}, "shots"),
        ({"shots": True}, "shots"),
        ({"circuits": ()}, "circuits"),
        ({"circuits": (b"[]",) * 5001}, "5,000"),
        ({"circuits": ("[]",)}, "as bytes"),
        ({"circuits": (b"[]", b"[]"), "gate_counts": 150_001}, "150,000"),
        ({"name": "a/b"}, "job name"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {"qstore_token": "x"}}, "reserved"),
        ({"noise": {"model": "aria-1"}, "backend": "qpu.aria-1"}, "simulator only"),
        ({"session_id": "../x"}, "session id"),
        ({"aggregation": "mean"}, "average, voting, dnl"),
    ],
)
def test_requests_that_the_service_would_refuse_are_refused_before(change, says):
    with pytest.raises(ConfigurationError, match=says):
        request(**change)


def test_a_body_beyond_ten_megabytes_is_refused():
    big = b"[" + b" " * 6_000_000 + b"]"
    request(circuits=(big,)).check_size()
    with pytest.raises(ConfigurationError, match="fewer circuits"):
        request(circuits=(big, big)).check_size()


def test_the_size_that_is_checked_is_the_size_that_is_sent():
    sealed = request(circuits=(b"[]",) * 3, name="x")
    body = sealed.body("t" * 32)
    import pennylane_qstore.ionq.messages.job_request as wire

    limit = wire.MAX_BODY_BYTES
    try:
        wire.MAX_BODY_BYTES = len(body)
        sealed.check_size()
        wire.MAX_BODY_BYTES = len(body) - 1
        with pytest.raises(ConfigurationError):
            sealed.check_size()
    finally:
        wire.MAX_BODY_BYTES = limit


TOKEN = "0123456789abcdef0123456789abcdef"
SENT_BEFORE = {
    "one native circuit": (
        request(),
        b'{"type":"ionq.circuit.v1","backend":"simulator","shots":100,'
        b'"name":"qstore 0123456789abcdef0123456789abcdef",'
        b'"metadata":{"qstore_token":"0123456789abcdef0123456789abcdef"},'
        b'"input":{"gateset":"native","qubits":2,'
        b'"circuit":[{"gate":"gpi","target":0,"phase":0.5}]}}',
        "4a465b60ee65d3dedbcfa8d94495e8fccfe0c717c5f8cbcaa19525bc69c74dcd",
    ),
    "three QIS circuits with labels and settings": (
        request(
            backend="qpu.forte-1",
            gateset="qis",
            qubits=3,
            circuits=encode_circuits(
                [("rx", (0,)), ("cnot", (1,), (0,))], [[0.1], [-3.0], [1e-17]], gateset="qis"
            ),
            gate_counts=6,
            shots=1000,
            name="my run",
            metadata={"a": "b"},
            session_id="s-1",
            settings={"error_mitigation": {"debiasing": True}},
            aggregation="voting",
        ),
        b'{"type":"ionq.multi-circuit.v1","backend":"qpu.forte-1","shots":1000,'
        b'"name":"my run 0123456789abcdef0123456789abcdef","metadata":{"a":"b",'
        b'"qstore_token":"0123456789abcdef0123456789abcdef"},"session_id":"s-1",'
        b'"settings":{"error_mitigation":{"debiasing":true}},"input":{"gateset":"qis",'
        b'"qubits":3,"circuits":[{"name":"c0","circuit":[{"gate":"rx","target":0,'
        b'"rotation":0.1},{"gate":"cnot","control":0,"target":1}]},{"name":"c1",'
        b'"circuit":[{"gate":"rx","target":0,"rotation":-3.0},{"gate":"cnot","control":0,'
        b'"target":1}]},{"name":"c2","circuit":[{"gate":"rx","target":0,"rotation":1e-17},'
        b'{"gate":"cnot","control":0,"target":1}]}]}}',
        "e9600fed695329a565c892e6568359029a2ea25030c2ee0daca134d367c83af8",
    ),
    "a noisy dry run with a long name": (
        request(
            circuits=(b"[]", b"[]"),
            noise={"model": "aria-1", "seed": None},
            dry_run=True,
            name="n" * 80,
            metadata={},
            shots=np.int64(7),
        ),
        b'{"type":"ionq.multi-circuit.v1","backend":"simulator","shots":7,'
        b'"name":"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn '
        b'0123456789abcdef0123456789abcdef",'
        b'"metadata":{"qstore_token":"0123456789abcdef0123456789abcdef"},'
        b'"noise":{"model":"aria-1"},"dry_run":true,"input":{"gateset":"native",'
        b'"qubits":2,"circuits":[{"name":"c0","circuit":[]},{"name":"c1","circuit":[]}]}}',
        "0e0ec472ee838eeae3065872fed9c93550848940d3a270da4e67577082667580",
    ),
}


@pytest.mark.parametrize("case", SENT_BEFORE)
def test_bodies_and_payload_hashes_never_change(case):
    """Ledgers of earlier versions are keyed by these hashes."""
    asked, body, sha256 = SENT_BEFORE[case]
    assert asked.body(TOKEN) == body
    assert asked.payload_sha256 == sha256


@pytest.mark.parametrize(
    ("gateset", "texts", "n_2q"),
    [
        ("native", ([("gpi", [0]), ("zz", [0, 1])], [("ms", [0, 1]), ("ms", [1, 0])]), 3),
        ("qis", ([("h", [0]), ("cnot", [1], [0])], [("x", [0], [1, 2]), ("swap", [0, 1])]), 3),
    ],
)
def test_the_size_of_a_job_counts_gates_by_their_qubits(gateset, texts, n_2q):
    slots = {"gpi": 1, "zz": 1, "ms": 3}
    circuits = [
        encode_circuits(gates, np.zeros((1, sum(slots.get(g[0], 0) for g in gates))))[0]
        for gates in texts
    ]
    debiased = {"error_mitigation": {"debiasing": True}}
    job = JobRequest("qpu.forte-1", gateset, 3, tuple(circuits), 4, 500, settings=debiased)
    assert job.size == JobSize(4 - n_2q, n_2q, 2, 500, mitigated=True)


@pytest.mark.parametrize(
    ("backend", "gateset", "shots", "asked", "mitigated"),
    [
        ("qpu.forte-1", "qis", 500, None, True),  # IonQ turns it on
        ("qpu.forte-1", "qis", 499, None, False),
        ("qpu.forte-1", "qis", 500, False, False),
        ("qpu.forte-1", "native", 500, None, False),
        ("qpu.forte-1", "native", 500, True, True),
        ("qpu.forte-1", "native", 499, True, False),
        ("simulator", "qis", 500, None, False),
    ],
)
def test_a_job_is_priced_as_it_is_debiased(backend, gateset, shots, asked, mitigated):
    settings = None if asked is None else {"error_mitigation": {"debiasing": asked}}
    job = JobRequest(backend, gateset, 1, (b"[]",), 0, shots, settings=settings)
    assert job.size.mitigated is mitigated
