"""Keys, tokens and a proxy's password are not among the local variables of any traceback."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import pennylane as qml
import pytest

import pennylane_qstore
from pennylane_qstore.emulator import Emulator, embedded
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.client import IonQClient
from pennylane_qstore.ionq.http.api_key import find_key
from pennylane_qstore.secret import ProxyUrl, Secret, hide_secrets
from pennylane_qstore.v34 import CircuitBatchManagerV34, TrainingConfig
from pennylane_qstore.v34.client import IonQBatchClient

KEY = "q7-SECRET-key-0123456789"
PROXY = f"http://user:{KEY}@127.0.0.1:3128"
ROOT = pennylane_qstore.__name__


def frames(error: BaseException | None, modules: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Local variables of these modules' frames, of an error and of those behind it."""
    while error is not None:
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            if str(trace.tb_frame.f_globals.get("__name__")).startswith(modules):
                yield trace.tb_frame.f_locals
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def texts(value: Any, depth: int = 3) -> Iterator[str]:
    """How a tool that shows locals shows a value: its repr, and what is inside."""
    with contextlib.suppress(Exception):  # an object that is not made yet may have no repr
        yield repr(value)
        yield str(value)
    if depth and isinstance(value, dict):
        for entry in (*value.keys(), *value.values()):
            yield from texts(entry, depth - 1)
    elif depth and isinstance(value, (list, tuple, set)):
        for entry in value:
            yield from texts(entry, depth - 1)
    elif depth and hasattr(value, "__dict__") and not isinstance(value, type):
        yield from texts(vars(value), depth - 1)


def check_hidden(error: BaseException, modules: tuple[str, ...] = (ROOT,)) -> None:
    locals_ = list(frames(error, modules))
    assert locals_
    assert KEY not in str(error)
    for frame in locals_:
        for name, value in frame.items():
            assert not any(KEY in text for text in texts(value)), name


WRONG: list[dict[str, Any]] = [
    {"nonsense": 1},
    {"apikey": KEY},
    {"backend": "qpu.none"},
    {"backend": "simulator", "gateset": "qasm"},
    {"pool_size": "many"},
    {"pool_size": 0},
    {"seed": -1},
    {"cache": -3},
    {"max_wait": 0},
    {"budget_usd": -1},
    {"noise_model": "loud"},
    {"error_mitigation": {"magic": True}},
    {"max_circuits_per_job": "some"},
    {"max_circuits_per_job": "adaptive", "run": "a"},
    {"batch_size": 1, "max_circuits_per_job": 1},
    {"retry_policy": 5},
    {"gradient": "guess"},
    {"wires": 1000},
    {"two_qubit": "cx"},
    {"shot_order": 2},
    {"proxy": "ftp://nowhere"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_option_of_the_device_does_not_show_the_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        pennylane_qstore.IonQDevice(**{"api_key": KEY, "proxy": PROXY, **wrong})
    check_hidden(raised.value)


@pytest.mark.parametrize("wrong", WRONG[:2], ids=str)
def test_pennylanes_own_frame_does_not_show_the_key(wrong: dict[str, Any]) -> None:
    options = {"api_key": KEY, "emulator": {"token": KEY}, **wrong}
    with pytest.raises(ConfigurationError) as raised:
        qml.device("qstore.ionq", **options)
    assert options["api_key"] == options["emulator"]["token"] == KEY
    del options
    check_hidden(raised.value, ("pennylane_qstore", "pennylane.devices"))


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_option_of_the_manager_does_not_show_the_key(wrong: dict[str, Any]) -> None:
    names = {"backend": "target"}
    options = {names.get(name, name): value for name, value in wrong.items()}
    if "batch_size" in options or "cache" in options:
        return  # its own options
    with pytest.raises(ConfigurationError) as raised:
        CircuitBatchManagerV34(KEY, **{"proxy": PROXY, **options})
    check_hidden(raised.value)


@pytest.mark.parametrize("kind", [IonQClient, IonQBatchClient])
@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://example.org"},
        {"pool_size": 0},
        {"timeout": -1},
        {"on_ambiguous": "guess"},
        {"retry_attempts": 0},
        {"proxy": "nowhere"},
        {"proxy": f"socks5://user:{KEY}@127.0.0.1:1"},
        {"proxy": f"http://user:{KEY}@127.0.0.1:none"},
        {"ledger": "/dev/null/ledger"},
    ],
    ids=str,
)
def test_a_wrong_option_of_a_client_does_not_show_the_key(
    kind: Callable[..., Any], wrong: dict[str, Any]
) -> None:
    with pytest.raises(pennylane_qstore.errors.QStoreError) as raised:
        kind(**{"api_key": KEY, "proxy": PROXY, **wrong})
    check_hidden(raised.value)


@pytest.mark.parametrize("bad", [f"{KEY}\n{KEY}", f"{KEY}ä", KEY.encode(), [KEY], {KEY: 1}])
def test_what_cannot_be_a_key_is_not_shown_either(bad: Any) -> None:
    for entry in (
        lambda: Secret(bad),
        lambda: find_key(bad),
        lambda: IonQClient(bad),
        lambda: pennylane_qstore.IonQDevice(api_key=bad),
        lambda: TrainingConfig(quantum_api_key=bad),
        lambda: CircuitBatchManagerV34(bad),
    ):
        with pytest.raises(ConfigurationError) as raised:
            entry()
        check_hidden(raised.value)


def test_settings_do_not_show_a_key(tmp_path) -> None:
    toml, torn = tmp_path / "a.toml", tmp_path / "b.toml"
    toml.write_text(f'quantum_api_key = "{KEY}"\nn_qubits = "many"\n')
    torn.write_text(f'quantum_api_key = "{KEY}\n')
    config = TrainingConfig(quantum_api_key=KEY)
    for entry in (
        lambda: TrainingConfig(quantum_api_key=KEY, n_qubits="many"),
        lambda: TrainingConfig(quantum_api_kee=KEY, quantum_api_key=KEY, nonsense=1),
        lambda: TrainingConfig(quantum_key=KEY),
        lambda: TrainingConfig.from_dict({"quantum_api_key": KEY, "nonsense": 1}),
        lambda: TrainingConfig.from_file(toml),
        lambda: TrainingConfig.from_file(torn),
        lambda: config.device(api_key=KEY, nonsense=1),
        lambda: setattr(config, "quantum_api_key", f"{KEY}\n{KEY}"),
    ):
        with pytest.raises(ConfigurationError) as raised:
            entry()
        check_hidden(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile": "fast"}, {"seed": -1}, {"noise_model": "loud"}, {"keep": 0},
        {"faults": [{"kind": "none"}]}, {"prices": {"qpu.none": None}}, {"workers": 0},
        {"budget_usd": -1}, {"simulator": "none"},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_option_of_the_emulator_does_not_show_the_token(wrong: dict[str, Any]) -> None:
    for entry in (
        lambda: Emulator(token=KEY, **wrong),
        lambda: embedded(token=KEY, **wrong),
        lambda: pennylane_qstore.IonQDevice(emulator={"token": KEY, **wrong}),
    ):
        with pytest.raises(ConfigurationError) as raised:
            entry()
        check_hidden(raised.value)


def test_a_proxys_password_is_neither_shown_nor_pickled() -> None:
    proxy = ProxyUrl(PROXY)
    assert repr(proxy) == str(proxy) == "ProxyUrl('http://127.0.0.1:3128')"
    assert proxy.reveal() == PROXY
    assert KEY.encode() not in pickle.dumps(proxy)
    assert pickle.loads(pickle.dumps(proxy)).reveal() == "http://127.0.0.1:3128"
    device = pennylane_qstore.IonQDevice(api_key=KEY, proxy=PROXY)
    options = device.executor.options
    assert options.proxy.reveal() == PROXY
    assert copy.deepcopy(options).proxy.reveal() == PROXY
    assert KEY not in repr(options)
    assert KEY.encode() not in pickle.dumps(device)
    with IonQClient("key", base_url="http://127.0.0.1:9", proxy=PROXY) as client:
        assert KEY not in repr(vars(client))
        assert KEY.encode() not in pickle.dumps(client)


def test_hidden_options_keep_what_is_no_secret() -> None:
    hidden = hide_secrets({"api_key": KEY, "emulator": {"token": KEY, "seed": 1}, "seed": None})
    assert hidden["api_key"] == Secret(KEY)
    assert hidden["emulator"] == {"token": Secret(KEY), "seed": 1}
    assert hidden["seed"] is None
    assert hide_secrets(hidden) == hidden
