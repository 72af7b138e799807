"""Seeds on the command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.cli.seeds import MAX_SEEDS, chosen_seeds, parse_seeds
from pennylane_qstore.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("5", (1, 2, 3, 4, 5)), ("1", (1,)), ("1-5", (1, 2, 3, 4, 5)), ("3-3", (3,)),
        ("2,7", (2, 7)), ("7, 2", (7, 2)), ("1-3,9", (1, 2, 3, 9)), ("2,2,1-2", (2, 1)),
        ("0-1", (0, 1)), ("3,", None),
    ],
)  # fmt: skip
def test_a_number_a_range_or_a_list(text, seeds):
    if seeds is None:
        with pytest.raises(ConfigurationError):
            parse_seeds(text)
    else:
        assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "5-1", "a", "1-", "1.5", "1;2", str(MAX_SEEDS + 1), f"1,{2**32}"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(ConfigurationError, match="names no seeds"):
        parse_seeds(text)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=20, unique=True))
def test_a_list_comes_back_as_it_was_written(seeds):
    assert parse_seeds(",".join(map(str, seeds))) == tuple(seeds)


def test_one_seed_several_or_the_default():
    assert chosen_seeds(None, None) == (1,)
    assert chosen_seeds(7, None) == (7,)
    assert chosen_seeds(None, "2") == (1, 2)
    with pytest.raises(ConfigurationError, match="exclude each other"):
        chosen_seeds(1, "2")
