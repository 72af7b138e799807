"""The page over a ledger: on this machine, with a token, live while a run goes on."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import wait
from support.paid_jobs import killed
from support.swept_runs import make_run, on

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.ionq.ledger.ledger import Ledger
from pennylane_qstore.watch.watch import Watch

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

KEY = "the-key-of-the-account"


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def test_only_the_token_opens_it_and_the_page_has_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    with Watch(Ledger(tmp_path / "ledger")) as watch:
        token = watch.page.partition("token=")[2]
        for path in ("/", "/admin/events", "/?token=x", "/v0.4/jobs"):
            with pytest.raises(urllib.error.HTTPError, match=r"40[14]"):
                get(watch.address + path)
        text = get(watch.page) + get(f"{watch.address}/admin/stats?token={token}")
        assert KEY not in text
        assert token not in text + repr(watch)


def test_others_cannot_reach_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ssh -L"):
        Watch(Ledger(tmp_path / "ledger"), host="0.0.0.0")
    with pytest.raises(ConfigurationError, match="name a file"):
        Watch(Ledger())
    assert repr(Watch.__new__(Watch)) == "<Watch, not made>"


def test_a_run_is_watched_and_its_job_cancelled(
    tmp_path: Path, browser: Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    path = tmp_path / "ledger"
    with Emulator(seed=1) as emulator, Watch(Ledger(path), runs=[tmp_path]) as watch:
        browser.get(watch.page)
        wait(browser, "document.getElementById('n-jobs')?.textContent", "0".__eq__)
        run = make_run(1, device=on(emulator, path), checkpoint=tmp_path / "run.json").train(2)
        names = "[...document.querySelectorAll('#runs tbody tr')].map(r => r.dataset.run)"
        wait(browser, names, [run.run_id].__eq__)
        browser.execute_script("document.querySelector('#runs tbody tr').click()")
        wait(browser, "document.querySelectorAll('#curve polyline').length", (1).__eq__)
        wait(browser, "document.querySelectorAll('#events tr').length", (5).__eq__)
        facts = browser.execute_script("return document.getElementById('run-facts').textContent")
        assert facts.startswith("2 steps")
    with (
        Emulator(seed=1, profile={"queue_s": 3600.0, "execution_s": 1.0}) as emulator,
        Watch(Ledger(path), base_url=emulator.url) as watch,
    ):
        killed(emulator, path, run="mine")
        browser.get(watch.page)
        browser.execute_script("filterBy({ run: 'mine' })")
        wait(browser, "document.querySelectorAll('#jobs .submitted').length", (1).__eq__)
        wait(browser, "document.getElementById('cancel').hidden", False.__eq__)
        browser.execute_script("document.getElementById('cancel').click()")
        browser.switch_to.alert.accept()
        wait(browser, "document.querySelectorAll('#jobs .canceled').length", (1).__eq__)
        assert emulator.jobs[0].canceled_at is not None
    assert KEY not in browser.page_source
