"""Pages name files and tests that are there, and stand alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pennylane_qstore

ROOT = Path(__file__).parents[2]
PACKAGE = Path(pennylane_qstore.__file__).parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def exists(name: str) -> bool:
    """Return True where a path, with or without its ending and its function, is there."""
    base = name.split(".py")[0] if ".py" in name else name
    candidates = {base, base.rsplit(".", 1)[0]}
    places = [root / c for root in (PACKAGE, ROOT, PACKAGE / "native") for c in candidates]
    return any(p.exists() or p.with_suffix(".py").exists() for p in places)


FOLDERS = sorted(init.parent.name for init in PACKAGE.glob("*/__init__.py"))
ROOMS = "|".join(["tests", "docs", "tutorials", "template", "passes", *FOLDERS])
EXAMPLES = {"tests/x/test_y.py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{ROOMS})/[\w./]+)`", text)) - EXAMPLES
    assert [name for name in named if not exists(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    places = [ROOT / link.lstrip("/") if link[0] == "/" else page.parent / link for link in links]
    assert [place for place in places if not place.exists()] == []


def test_the_map_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = {p.stem for p in PACKAGE.glob("*.py")} | {
        p.parent.name for p in PACKAGE.glob("*/__init__.py")
    }
    hidden = {"__init__", "_version"}
    assert [n for n in sorted(names - hidden) if not re.search(rf"^  {n}/?\s", text, re.M)] == []


def test_the_readme_is_short_and_leads_to_the_pages() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") < 150
    assert "docs/index.md" in text
