"""The key is sent, and shown nowhere."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.secret import Secret, find_key


def test_a_secret_does_not_show_itself():
    secret = Secret("canary-key")
    shown = [repr(secret), str(secret), f"{secret}", repr([secret]), repr({"key": secret})]
    assert not any("canary" in text for text in shown)
    assert secret.reveal() == "canary-key"
    assert secret.redact("a canary-key b") == "a *** b"


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
