"""Callbacks hear everything and may stop a run; the bar shows loss, rate, queue and budget."""

from __future__ import annotations

import sys
import types
import warnings

import pytest
from support.training_runs import make

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import callbacks
from pennylane_qstore.training.callbacks import Callback, ProgressBar


def test_a_callback_hears_everything_and_may_stop_the_run():
    heard = []

    class Listener(Callback):
        def on_begin(self, run):
            heard.append("begin")

        def on_start(self, run, steps):
            heard.append(f"start {steps}")

        def on_wait(self, run, progress):
            heard.append(progress.state)

        def on_step(self, run, record):
            heard.append(f"step {record.step}")
            if record.step == 2:
                run.stop()

        def on_stop(self, run):
            heard.append("stop")

    records = []
    run = make(callbacks=[Listener(), records.append]).train(9)
    assert run.stopped == "callback"
    assert records == run.history
    assert heard[:2] == ["start 9", "begin"]
    assert [h for h in heard if h.startswith("step")] == ["step 1", "step 2"]
    assert "completed" in heard
    run.train(3)
    assert heard.count("begin") == 1


def test_a_callback_with_a_state_is_kept_in_the_checkpoint(tmp_path):
    class Counter(Callback):
        seen = 0

        def on_step(self, run, record):
            self.seen += 1

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    make(checkpoint=tmp_path / "a", callbacks=[Counter()]).train(3)
    counter = Counter()
    watching = [lambda record: None, counter]
    make(checkpoint=tmp_path / "a", resume=True, callbacks=watching).train(5)
    assert counter.seen == 5


def test_the_bar_tells_loss_and_jobs_and_short_runs_are_quiet_elsewhere(capsys):
    make(progress=True).train(3)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    for word in ("loss=", "jobs=3"):
        assert word in shown
    make(progress=None).train(1)
    assert capsys.readouterr().err == ""


def test_a_log_has_a_line_now_and_then_and_one_at_the_end(capsys):
    make(progress="log").train(3)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("run 1/3: loss ")
    assert last.startswith("run 3/3: loss ")
    assert "jobs 3" in last
    times = iter([0.0, 10.0, 31.0, 31.0, 40.0, 41.0, 41.0])
    bar = ProgressBar(None, clock=lambda: next(times))
    run = make().train(4)
    run._observers._bar = bar
    run.train(7)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "run 6/7", "run 7/7",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["tqdm", "tqdm_notebook"])
def test_a_notebook_without_widgets_shows_the_text_bar(name, monkeypatch, capsys):
    """And warns of nothing; with widgets it is a notebook's bar."""
    import tqdm.auto

    class Kernel:
        kernel = None

    ipython = types.SimpleNamespace(get_ipython=Kernel)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    widgets = None if name == "tqdm" else object()
    monkeypatch.setattr(callbacks, "find_spec", lambda module: widgets)
    bars = []

    def drawn(**options):
        bars.append(options)
        return tqdm.tqdm(**options, file=sys.stderr)

    monkeypatch.setattr(tqdm.auto, "tqdm", drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(progress=None).train(2)
    assert "2/2" in capsys.readouterr().err
    assert [("ncols" in options) for options in bars] == ([] if name == "tqdm" else [False])


@pytest.mark.parametrize("progress", ["loud", 1])
def test_another_progress_is_refused(progress):
    with pytest.raises(ConfigurationError, match='"log", True, False or None'):
        make(progress=progress)


def test_the_bar_tells_queue_spending_and_budget():
    class Run:
        name, step, history, spent_usd, left_usd = "r", 0, [], 12.5, 87.5

    class Wait:
        state, predicted_wait_s, elapsed_s = "ready", 1800.0, 2.0

    bar = ProgressBar(True)
    bar.on_start(Run, 10)
    try:
        bar.on_wait(Run, Wait)
        assert "about 30 min in the queue" in bar._bar.postfix
        record = make().train(1).history[0]
        bar.on_step(Run, record)
        assert bar._bar.postfix.startswith("spent=$12.50/$100.00, loss=")
        bar.on_wait(Run, Wait)
        assert len(str(bar._bar)) <= 80
    finally:
        bar.on_stop(Run)
