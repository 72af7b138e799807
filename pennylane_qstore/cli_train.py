"""The command line about training: ``qstore train``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pennylane_qstore.cli_jobs import typed_errors


def train(
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 300,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of a mini-batch.")] = 20,
    shots: Annotated[int, typer.Option(min=1, help="Shots per circuit.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Seed of split, weights and sampling.")] = 1,
    noise_model: Annotated[str | None, typer.Option(help="aria-1, aria-2 or forte-1.")] = None,
    backend: Annotated[str, typer.Option(help="emulator, simulator or an IonQ QPU.")] = "emulator",
    out: Annotated[Path, typer.Option(help="Folder for history.json and training.png.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a classifier on two Iris classes (versicolor and virginica)."""
    with typed_errors():
        report = _train(steps, batch_size, shots, seed, noise_model, backend, out)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _print_report(report, out)


def _train(
    steps: int,
    batch_size: int,
    shots: int,
    seed: int,
    noise_model: str | None,
    backend: str,
    out: Path,
) -> dict[str, Any]:
    import pennylane as qml
    from tqdm.auto import tqdm

    from pennylane_qstore.training import iris

    data = iris.load_iris(seed)
    out.mkdir(parents=True, exist_ok=True)
    device = qml.device(
        "qstore.ionq", wires=iris.WIRES, backend=backend, noise_model=noise_model, seed=seed
    )
    model = iris.make_model(device, shots)
    served = _Served(device)
    start = time.perf_counter()
    bar = tqdm(total=steps, unit="step", disable=None)

    def on_calibrated(_: object) -> None:
        nonlocal start
        served.mark("before")
        start = time.perf_counter()

    def on_step(record: iris.StepRecord) -> None:
        served.mark("steps")
        seconds = time.perf_counter() - start
        posts, circuits = served.during("posts"), served.during("circuits")
        bar.set_postfix(
            loss=f"{record.loss:.3f}", POSTs=posts, **{"circuits/s": f"{circuits / seconds:.0f}"}
        )
        bar.update()

    with bar:
        result = iris.train(
            model,
            data,
            seed=seed,
            steps=steps,
            batch_size=batch_size,
            on_step=on_step,
            on_calibrated=on_calibrated,
        )
    seconds = time.perf_counter() - start
    losses = [record.loss for record in result.history]
    few = min(10, (steps + 1) // 2)
    report = {
        "steps": steps,
        "posts": served.during("posts"),
        "eval_posts": served.apart("posts"),
        "circuits": served.during("circuits"),
        "requests": served.during("requests"),
        "test_accuracy": result.test_accuracy,
        "baseline_accuracy": result.baseline_accuracy,
        "constant_accuracy": result.constant_accuracy,
        "loss_first": _mean(losses[:few]),
        "loss_last": _mean(losses[-few:]),
        "seconds": round(seconds, 3),
        "seconds_per_step": round(seconds / steps, 5),
        "seed": seed,
        "batch_size": batch_size,
        "shots": shots,
        "backend": backend,
        "noise_model": noise_model,
    }
    _write(out, report, result.history)
    return report


class _Served:
    """Requests, POSTs and circuits so far: as the emulator counts them, else as the client."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._at: dict[str, dict[str, int]] = {"start": self._now()}

    def mark(self, name: str) -> None:
        """Remember the counts as they are."""
        self._at[name] = self._now()

    def during(self, what: str) -> int:
        """Counted by the training steps."""
        return self._at["steps"][what] - self._at["before"][what]

    def apart(self, what: str) -> int:
        """Counted by calibration and evaluation."""
        return self._now()[what] - self._at["start"][what] - self.during(what)

    def _now(self) -> dict[str, int]:
        emulator = self._device.emulator
        if emulator is not None:
            stats = emulator.stats()
            return {name: stats[name] for name in ("requests", "posts", "circuits")}
        stats = self._device.stats
        return {
            "requests": stats["requests"],
            "posts": stats["jobs"],
            "circuits": stats["circuits"],
        }


def _write(out: Path, report: dict[str, Any], history: Any) -> None:
    from dataclasses import asdict

    from pennylane_qstore.training.plots import draw_learning_curve, learning_curve, pyplot

    records = [asdict(record) for record in history]
    text = json.dumps({"summary": report, "history": records}, indent=1)
    (out / "history.json").write_text(text)
    plt = pyplot()
    curve = learning_curve([r["loss"] for r in records], [r["accuracy"] for r in records])
    lines = {
        f"test, this model: {report['test_accuracy']:.2f}": report["test_accuracy"],
        f"test, logistic regression: {report['baseline_accuracy']:.2f}": report[
            "baseline_accuracy"
        ],
        f"test, constant: {report['constant_accuracy']:.2f}": report["constant_accuracy"],
    }
    left, _ = draw_learning_curve(curve, lines)
    left.figure.savefig(out / "training.png", dpi=150)
    plt.close(left.figure)


def _print_report(report: dict[str, Any], out: Path) -> None:
    steps = report["steps"]
    where = "the emulator" if report["backend"] == "emulator" else report["backend"]
    typer.echo(
        f"Test accuracy       {report['test_accuracy']:.3f}\n"
        f"Logistic regression {report['baseline_accuracy']:.3f} (same split)\n"
        f"Constant guess      {report['constant_accuracy']:.3f}\n"
        f"Loss                {report['loss_first']:.3f} -> {report['loss_last']:.3f} "
        "(means of the first and last steps)\n"
        f"POSTs               {report['posts']} for {steps} steps "
        f"({report['eval_posts']} more for calibration and evaluation)\n"
        f"Requests per step   {report['requests'] / steps:.1f}, "
        f"circuits per step {report['circuits'] / steps:.0f}\n"
        f"Time per step       {1e3 * report['seconds_per_step']:.1f} ms on {where}\n"
        f"Written             {out / 'history.json'}, {out / 'training.png'}"
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
