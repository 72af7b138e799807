"""Callbacks hear everything and may stop a run; the bar shows loss, rate, queue and budget."""

from __future__ import annotations

from support.training_runs import make

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


def test_the_bar_tells_loss_posts_rate_and_is_quiet_elsewhere(capsys):
    make(progress=True).train(3)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    for word in ("loss=", "POSTs=3", "circuits/s="):
        assert word in shown
    make(progress=None).train(1)
    assert capsys.readouterr().err == ""


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
        assert "spent=$12.50" in bar._bar.postfix
        assert "left=$87.50" in bar._bar.postfix
    finally:
        bar.on_stop(Run)
