"""Settings: defaults, names, values, secrets, files."""

import copy
import json
import pickle
import typing

import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.v34.config import TrainingConfig
from pennylane_qstore.v34.settings import SECRETS, SETTINGS, SWITCHED


def test_all_fields_of_v34_are_there():
    assert len(SETTINGS) == 47
    assert set(typing.get_type_hints(TrainingConfig, localns=NAMES)) == set(SETTINGS)


def test_everything_is_optional():
    config = TrainingConfig()
    for name, setting in SETTINGS.items():
        assert getattr(config, name) == setting.default
        assert setting.meaning


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigurationError, match="Did you mean 'use_native_gates'"):
        TrainingConfig(use_native_gate=True)
    config = TrainingConfig()
    with pytest.raises(ConfigurationError, match="Did you mean 'log_level'"):
        config.loglevel = "DEBUG"
    with pytest.raises(AttributeError, match="Did you mean 'epochs'"):
        config.epoch  # noqa: B018


def test_help_says_what_every_field_does():
    for name, setting in SETTINGS.items():
        meaning = setting.meaning.replace("`", "``")
        assert f"``{name}`` (``{setting.default!r}``): {meaning}" in TrainingConfig.__doc__
    without = TrainingConfig.__doc__.split("accepted, without meaning here")[1]
    assert [line.split("`")[2] for line in without.splitlines() if "`" in line] == [
        name for name in SETTINGS if name.startswith("pinecone_")
    ]


def test_tab_completes_fields():
    assert set(SETTINGS) < set(dir(TrainingConfig()))


@pytest.mark.parametrize("name", SWITCHED)
def test_an_explicit_false_wins_before_and_after(name):
    before = TrainingConfig(**{name: False}, enable_all_v34_features=True)
    after = TrainingConfig(enable_all_v34_features=True)
    setattr(after, name, False)
    assert getattr(before, name) is getattr(after, name) is False


def test_keys_are_nowhere_to_be_seen():
    config = TrainingConfig(quantum_api_key="topsecret", pinecone_api_key="topsecret2")
    shown = [repr(config), str(vars(config)), str(config.to_dict(complete=True))]
    shown += [repr(config.device_options()), str(pickle.dumps(config)), repr(config.to_dict())]
    assert not any("topsecret" in text for text in shown)
    assert config.device_options()["api_key"].reveal() == "topsecret"
    assert copy.deepcopy(config) == config
    with pytest.raises(ConfigurationError) as refused:
        config.quantum_api_key = b"topsecret"
    assert "topsecret" not in str(refused.value)
    assert SECRETS == ("pinecone_api_key", "quantum_api_key")


def test_dictionaries_and_files_come_back_as_they_were(tmp_path):
    config = TrainingConfig(enable_all_v34_features=True, use_batch_api=False, epochs=3)
    assert TrainingConfig.from_dict(config.to_dict()) == config
    assert pickle.loads(pickle.dumps(config)) == config
    assert set(config.to_dict(complete=True)) == set(SETTINGS) - set(SECRETS)
    (tmp_path / "a.json").write_text(json.dumps(config.to_dict()))
    (tmp_path / "a.toml").write_text(
        "[training]\nenable_all_v34_features = true\nuse_batch_api = false\nepochs = 3\n"
    )
    for name in ("a.json", "a.toml"):
        assert TrainingConfig.from_file(tmp_path / name) == config


@pytest.mark.parametrize("text", ["[", "[1]", '{"epoch": 3}'])
def test_a_file_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        TrainingConfig.from_file(path)
    with pytest.raises(ConfigurationError, match="missing"):
        TrainingConfig.from_file(tmp_path / "missing.toml")


NAMES = {"OptimizerName": str}


@pytest.mark.parametrize("table", [None, 3, [1]])
def test_what_is_no_table_is_no_configuration(table, tmp_path):
    with pytest.raises(ConfigurationError, match="Allowed: a dictionary"):
        TrainingConfig.from_dict(table)
    file = tmp_path / "config.JSON"
    file.write_text(json.dumps({"training": table}))
    with pytest.raises(ConfigurationError, match="Allowed: a dictionary"):
        TrainingConfig.from_file(file)
