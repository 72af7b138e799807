"""Checks of options: what passes comes back as it is used, everything else names the option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import (
    check_bounds,
    check_count,
    check_flag,
    check_known,
    check_number,
    check_one_of,
    check_positions,
    check_seed,
    check_seeds,
    installed,
    is_number,
    is_whole,
)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_number_passes_exactly_within_its_limits(value: float, limit: float) -> None:
    for name, valid in {
        "above": value > limit,
        "least": value >= limit,
        "below": value < limit,
        "most": value <= limit,
    }.items():
        limits: dict[str, Any] = {name: limit}
        if valid:
            assert check_number("c", value, **limits) == value
        else:
            with pytest.raises(ConfigurationError, match=r"^c="):
                check_number("c", value, **limits)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, np.nan, np.inf, [1, 2], 10**400, 1j])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    assert not is_number(value)
    with pytest.raises(ConfigurationError, match="Allowed: a finite number"):
        check_number("c", value)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"above": 0}, "a finite number above 0."),
        ({"least": 0, "unit": "seconds"}, "a finite number of seconds, 0 or more."),
        ({"least": 0, "most": 1}, "a finite number from 0 to 1."),
        ({"least": 0, "below": 1}, "a finite number from 0, below 1."),
        ({"above": 0, "most": 1}, "a finite number above 0, at most 1."),
        ({"most": 1}, "a finite number, at most 1."),
        ({"above": 0, "optional": True}, "a finite number above 0, or None."),
    ],
)
def test_a_message_says_what_was_wrong_and_what_is_allowed(
    limits: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_number("rate", "fast", **limits)
    assert str(caught.value) == f"rate='fast' is not allowed. Allowed: {words}"


def test_counts_come_back_as_python_s_own() -> None:
    assert type(check_count("n", np.int64(3))) is int
    assert check_count("n", None, optional=True) is None
    for value in (0, -1, 1.0, True, "1", None):
        with pytest.raises(ConfigurationError, match="a whole number, 1 or more"):
            check_count("n", value)
    with pytest.raises(ConfigurationError, match="a whole number from 200 to 599"):
        check_count("status", 600, least=200, most=599)


def test_one_of_a_few() -> None:
    assert check_one_of("gateset", "qis", ("native", "qis")) == "qis"
    assert check_one_of("two_qubit", None, (None, "ms")) is None
    for value in ("quil", np.zeros(2), 0, None):
        with pytest.raises(ConfigurationError, match="Allowed: 'native', 'qis'"):
            check_one_of("gateset", value, ("native", "qis"))


def test_flags() -> None:
    assert check_flag("blocking", np.True_) is True
    with pytest.raises(ConfigurationError, match="True or False"):
        check_flag("blocking", 1)


def test_the_nearest_known_name_is_suggested() -> None:
    check_known("option", "seed", ("seed", "shots"))
    with pytest.raises(ConfigurationError) as caught:
        check_known("option", "sed", ("seed", "shots"), of="qstore.ionq")
    assert str(caught.value) == (
        "Unknown option 'sed' of qstore.ionq. Did you mean 'seed'? Allowed: 'seed', 'shots'."
    )
    with pytest.raises(ConfigurationError, match=r"Unknown option 7\. Allowed"):
        check_known("option", 7, ("seed", "shots"))


def test_bounds_positions_and_seeds() -> None:
    low, high = check_bounds((-1, [0.0, 2.0]))
    assert low == -1
    assert high.tolist() == [0.0, 2.0]
    assert check_positions(1) == (1,)
    assert check_positions([np.int64(0), -1]) == (0, -1)
    assert check_seed(5).random() == np.random.default_rng(5).random()
    for check, value in (
        (check_bounds, (1, 0)),
        (check_bounds, "ab"),
        (check_positions, [0.5]),
        (check_seed, -1),
        (check_seed, "x"),
    ):
        with pytest.raises(ConfigurationError, match=r"is not allowed\. Allowed: "):
            check(value)


def test_a_bool_is_no_number() -> None:
    assert is_whole(np.int8(1))
    assert not is_whole(True)
    assert not is_whole(1.0)
    assert is_number(np.float32(0.5))


def test_seeds_are_a_number_of_them_or_a_list():
    assert check_seeds(3) == (1, 2, 3)
    assert check_seeds([7, np.int64(2), 7]) == (7, 2, 7)
    assert check_seeds([]) == ()
    for wrong in (0, -1, [-1], ["x"], [1.5]):
        with pytest.raises(ConfigurationError, match="seeds"):
            check_seeds(wrong)


def test_what_is_not_installed_is_named_with_what_installs_it() -> None:
    assert installed("math", "Nobody needs it", "train").pi > 3
    with pytest.raises(
        ConfigurationError, match=r"X needs it: pip install 'pennylane-qstore\[a\]'"
    ):
        installed("no_such_module_anywhere", "X needs it", "a")
