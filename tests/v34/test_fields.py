"""Fields: each takes the values of its kind, and refuses others by its name."""

import json

import numpy as np
import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.v34.config import TrainingConfig
from pennylane_qstore.v34.settings import SETTINGS


def test_numpys_numbers_are_numbers():
    config = TrainingConfig(
        batch_size=np.int64(20), use_batch_api=np.False_, momentum=np.float32(0)
    )
    assert config.to_dict() == {"batch_size": 20, "use_batch_api": False, "momentum": 0.0}
    assert json.dumps(config.to_dict())


BAD = {
    "quantum_sdk": "cirq", "optimizer": "rmsprop", "gradient_method": "adjoint",
    "entanglement": "ring", "log_level": "LOUD", "momentum": 1.0, "weight_decay": -0.1,
    "quantum_target": "", "performance_log_dir": 3, "quantum_api_key": 7,
    "pinecone_api_key": 7, "pinecone_environment": None, "pinecone_index_name": None,
    "checkpoint_directory": "", "max_queue_wait_time": float("nan"),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_a_value_that_is_not_allowed_is_refused_by_name(name):
    config = TrainingConfig()
    bad = BAD.get(name, -1)
    with pytest.raises(ConfigurationError, match=name):
        setattr(config, name, bad)
    assert not config.is_given(name)
