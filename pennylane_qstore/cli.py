"""The command line: ``qstore train``, ``serve``, ``jobs`` ... A thin face over the rooms."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pennylane_qstore import cli_jobs
from pennylane_qstore._version import __version__
from pennylane_qstore.cli_jobs import typed_errors
from pennylane_qstore.errors import ConfigurationError

app = typer.Typer(
    name="qstore",
    help="Train quantum models on IonQ's computers, one request a step.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.add_typer(cli_jobs.jobs, name="jobs")
app.command()(cli_jobs.resume)
app.command()(cli_jobs.estimate)
app.command()(cli_jobs.doctor)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"pennylane-qstore {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train quantum models on IonQ's computers, one request a step."""


@app.command()
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


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8123,
    host: Annotated[str, typer.Option(help="Other than loopback only with --token.")] = "127.0.0.1",
    token: Annotated[str | None, typer.Option(help="API key that clients must present.")] = None,
    profile: Annotated[
        str, typer.Option(help="Latency: none, q-store, ionq-simulator or qpu.")
    ] = "none",
    seed: Annotated[int | None, typer.Option(help="Seed of noise, latency and faults.")] = None,
    faults: Annotated[Path | None, typer.Option(help="TOML or JSON file of faults.")] = None,
    state: Annotated[Path | None, typer.Option(help="File that keeps jobs.")] = None,
) -> None:
    """Serve the emulator of IonQ's API to any client."""
    from pennylane_qstore.emulator import Emulator

    with typed_errors():
        emulator = Emulator(
            host=host,
            port=port,
            token=token,
            profile=profile,
            seed=seed,
            faults=faults,
            state=state,
        )
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        key = "any API key" if token is None else "the token as API key"
        with emulator:
            typer.echo(f"IonQ emulator on {emulator.url} ({key}). Ctrl-C stops it.")
            sys.stdout.flush()
            stopped.wait()
        typer.echo("Stopped.")


@app.command()
def bench(
    only: Annotated[str, typer.Option(help="What to measure: requests.")] = "requests",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure on the embedded emulator: POSTs per training step, by objective and interface."""
    with typed_errors():
        if only not in _BENCHES:
            raise ConfigurationError(
                f"Unknown measurement {only!r}. Allowed: {', '.join(map(repr, _BENCHES))}."
            )
        _BENCHES[only](as_json)


# --- bench ---------------------------------------------------------------------------------


def _bench_requests(as_json: bool) -> None:
    from dataclasses import asdict

    import pennylane as qml

    from pennylane_qstore.training.requests import SAMPLES, table

    cells = table(
        lambda: qml.device("qstore.ionq", wires=2), lambda device: int(device.stats["jobs"])
    )
    if as_json:
        typer.echo(json.dumps([asdict(cell) for cell in cells]))
        return
    typer.echo(f"POSTs of one step_and_cost over {SAMPLES} samples, on the embedded emulator\n")
    typer.echo(f"{'objective':<28}{'interface':<10}{'way':<16}{'plain':>6}{'POSTs':>7}  difference")
    for cell in cells:
        typer.echo(
            f"{cell.objective:<28}{cell.interface:<10}{cell.way:<16}{cell.plain:>6}"
            f"{cell.batches:>7}  {cell.difference:.0e}"
        )


_BENCHES = {"requests": _bench_requests}


# --- train ---------------------------------------------------------------------------------


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


if __name__ == "__main__":
    app()
