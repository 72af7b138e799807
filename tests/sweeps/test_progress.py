"""The progress of runs side by side: steps of the first, dollars of all."""

from __future__ import annotations

from support.swept_runs import make_run, on

from pennylane_qstore.emulator import Emulator
from pennylane_qstore.sweeps.progress import SharedProgress
from pennylane_qstore.sweeps.sweep import Sweep


def test_lines_tell_the_dollars_of_all_runs_and_their_budget(tmp_path, capsys):
    with Emulator(seed=1, profile="none") as emulator:

        def make(seed):
            return make_run(seed, device=on(emulator, tmp_path / "ledger"))

        found = Sweep(make, seeds=3, budget_usd=1000, progress="log").train(2)
        billed_usd = emulator.stats()["billed_usd"]
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("run x 3 1/2: spent $")
    assert last.startswith(f"run x 3 2/2: spent ${billed_usd:,.2f}/$1,000.00, loss ")
    assert billed_usd > 1.5 * found.trials[0].run.spent_usd


def test_without_a_terminal_short_runs_are_quiet_and_the_bar_tells_steps(capsys):
    Sweep(make_run, seeds=2).train(1)
    assert capsys.readouterr().err == ""
    runs = [make_run(1), make_run(2)]
    runs[0].configure(callbacks=[SharedProgress(runs, None, True)])
    runs[0].train(2)
    assert "run x 2 2/2" in capsys.readouterr().err
