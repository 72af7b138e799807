"""The key is sent, and shown nowhere."""

from __future__ import annotations

import copy
import html
import io
import json
import logging
import pickle
import sys
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.http.api_key import find_key
from pennylane_qstore.secret import Secret


def test_a_secret_does_not_show_itself():
    secret = Secret("canary-key")
    shown = [repr(secret), str(secret), f"{secret}", repr([secret]), repr({"key": secret})]
    assert not any("canary" in text for text in shown)
    assert secret.reveal() == "canary-key"
    assert secret.redact("a canary-key b") == "a *** b"


@pytest.mark.parametrize(
    "written",
    [
        'k/ey-"<9>',
        json.dumps('k/ey-"<9>'),
        json.dumps('k/ey-"<9>').replace("/", "\\/"),
        quote('k/ey-"<9>', safe=""),
        html.escape('k/ey-"<9>'),
    ],
)
def test_a_secret_is_hidden_in_data_as_it_is_written_there(written):
    hidden = Secret('k/ey-"<9>').redact_bytes(f"a {written} b".encode())
    assert b"***" in hidden
    assert b"ey-" not in hidden


@pytest.mark.parametrize("word", ["id", "simulator"])
def test_a_word_of_the_data_is_no_secret(word):
    data = json.dumps({"id": "1", "backend": "simulator"}).encode()
    assert Secret(word).redact_bytes(data) == data


@pytest.mark.parametrize("leave", [pickle.dumps, copy.deepcopy, json.dumps])
def test_a_secret_does_not_travel(leave):
    with pytest.raises(TypeError):
        leave(Secret("canary-key"))


@pytest.mark.parametrize("bad", ["", "  ", "a\nX-Evil: 1", "clé", 7])
def test_what_is_no_key_is_refused_without_being_shown(bad):
    with pytest.raises(ConfigurationError) as refused:
        Secret(bad)
    assert "Evil" not in str(refused.value)


def test_the_key_is_found_in_order(monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY", raising=False)
    monkeypatch.delenv("PENNYLANE_IONQ_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="IONQ_API_KEY"):
        find_key()
    monkeypatch.setenv("PENNYLANE_IONQ_API_KEY", "second")
    assert find_key().reveal() == "second"
    monkeypatch.setenv("IONQ_API_KEY", "first")
    assert find_key().reveal() == "first"
    assert find_key("given").reveal() == "given"


class NoKeyring(Exception):
    pass


def keyring(password):
    def get_password(service, user):
        if isinstance(password, Exception):
            raise password
        return password if (service, user) == ("ionq", "api_key") else None

    return SimpleNamespace(
        get_password=get_password, errors=SimpleNamespace(KeyringError=NoKeyring)
    )


def test_a_key_is_read_from_the_keyring_where_that_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", keyring("kept-key"))
    assert find_key("keyring:ionq").reveal() == "kept-key"
    monkeypatch.setenv("IONQ_API_KEY", "keyring:ionq")
    assert find_key().reveal() == "kept-key"
    with pytest.raises(ConfigurationError, match="keyring set other api_key"):
        find_key("keyring:other")
    monkeypatch.setitem(sys.modules, "keyring", keyring(NoKeyring("locked")))
    with pytest.raises(ConfigurationError, match="locked"):
        find_key("keyring:ionq")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match="pip install keyring"):
        find_key("keyring:ionq")


@pytest.fixture
def log():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logging.getLogger().addHandler(handler)
    yield out
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("name", ["pennylane_qstore.ionq.client", "aiohttp.client", "asyncio"])
def test_a_key_that_slips_into_a_log_is_hidden_there(name, log):
    logger = logging.getLogger(name)
    find_key("canary-key")
    logger.warning("with arguments: %s, %d", "canary-key", 7)
    logger.warning("in the text: canary-key")
    try:
        raise ValueError("canary-key")
    except ValueError:
        logger.exception("an error")
    shown = log.getvalue()
    assert "canary" not in shown
    assert "with arguments: ***, 7" in shown
    assert "ValueError: ***" in shown


@pytest.mark.parametrize("name", ["pennylane_qstore.made_late", "aiohttp.made_late"])
def test_a_key_is_hidden_in_logs_that_are_made_after_it_was_found(name, log):
    find_key(Secret("wrapped-canary-key"))
    logging.getLogger(name).warning("late: %s", "wrapped-canary-key")
    logging.getLogger("elsewhere").warning("not ours: %s", "wrapped-canary-key")
    assert log.getvalue() == "late: ***\nnot ours: wrapped-canary-key\n"


def test_many_keys_are_hidden_by_one_factory(log):
    find_key("one-canary-key")
    factory = logging.getLogRecordFactory()
    find_key("two-canary-key")
    assert logging.getLogRecordFactory() is factory
    find_key("two-canary-key-and-more")
    logging.getLogger("asyncio").warning("one-canary-key, two-canary-key-and-more")
    assert log.getvalue() == "***, ***\n"


def test_arguments_that_cannot_be_shown_are_the_handlers_to_report():
    class Broken:
        def __str__(self):
            raise KeyError("broken")

    find_key("canary-key")
    record = logging.getLogRecordFactory()(
        "pennylane_qstore", logging.INFO, "", 0, "%s", (Broken(),), None
    )
    assert isinstance(record.args[0], Broken)


def test_what_holds_no_key_is_logged_as_it_is(log):
    find_key("canary-key")
    logging.getLogger("pennylane_qstore.ionq.client").warning("%s and %r", 1, "two")
    assert log.getvalue() == "1 and 'two'\n"


def test_a_key_in_a_configuration_file_that_others_read_is_refused(tmp_path, monkeypatch):
    import pennylane as qml

    file = tmp_path / "config.toml"
    file.write_text('[qstore.ionq]\napi_key = "from-the-file"\n')
    file.chmod(0o644)
    config = qml.Configuration("none.toml")
    config.load(str(file))
    config._filepath = str(file)
    monkeypatch.setattr("pennylane.devices.device_constructor.default_config", config)
    monkeypatch.setattr("pennylane_qstore.execution.option_values.default_config", config)
    with pytest.raises(ConfigurationError, match="chmod 600") as refused:
        qml.device("qstore.ionq", wires=1)
    assert "from-the-file" not in str(refused.value)
    qml.device("qstore.ionq", wires=1, api_key="another")
    file.chmod(0o600)
    assert qml.device("qstore.ionq", wires=1).executor.options.backend == "simulator"


def test_a_word_is_no_key_to_hide(log):
    find_key("job")
    logging.getLogger("pennylane_qstore.ionq.client").warning("a job")
    assert log.getvalue() == "a job\n"
