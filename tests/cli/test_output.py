"""Output of commands: JSON for programs, aligned lines for people."""

import json

from pennylane_qstore.cli.output import labelled, show


def test_json_is_one_line_and_the_words_are_not_made(capsys):
    show(True, {"a": [1, None]}, (1 / 0 for _ in range(1)))
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": [1, None]}
    assert out.count("\n") == 1


def test_words_are_lines(capsys):
    show(False, {"a": 1}, labelled({"Loss": 0.5, "Accuracy": "0.900 (all)"}))
    assert capsys.readouterr().out == "Loss      0.5\nAccuracy  0.900 (all)\n"
