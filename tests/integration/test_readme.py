"""The README's example runs as it stands, and prints what it says."""

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_it_says(capsys):
    (code,) = re.findall(r"<!-- use -->\n```python\n(.*?)```\n<!-- /use -->", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == code.rstrip().rpartition("# ")[2]
