"""The command ``qstore bench``: the tables behind the claims of README."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pennylane_qstore.cli.output import Json, show, typed_errors
from pennylane_qstore.cli.seeds import parse_seeds
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.validation import check_known, check_number, check_one_of

_Circuits = Annotated[
    Path | None,
    typer.Option(help="compile: folder of OpenQASM 2 files; by default 25 built-in circuits."),
]
_Family = Annotated[str | None, typer.Option(help="compile: zz (Forte, the default) or ms (Aria).")]
_Limit = Annotated[
    float | None,
    typer.Option(help="compile: seconds for each circuit and compiler; by default 60."),
]


@typed_errors()
def bench(
    only: Annotated[
        str,
        typer.Option(
            help="The measurement. requests: POSTs per training step and per gradient, by "
            "objective and interface. gradient: the client's time and memory for gradients of "
            "980 and 9,800 circuits. engine: the emulator's engines and calls beside PennyLane's "
            "simulators. compile: native gates of our compiler beside those of others, each where "
            "it is installed. v34: Q-Store v3.4's performance table, on its own service times. "
            "cost: quality and dollars of trained models, ours beside PennyLane's optimizers."
        ),
    ] = "requests",
    scale: Annotated[
        float | None,
        typer.Option(help="v34: factor of the service's times; by default 1."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="v34: epochs to run; by default 5, which take three minutes."),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="cost: tasks, or patterns such as 'iris,d*'; all by default.")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="cost: methods, or patterns such as 'spsa-20*,auto'; all by default."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="cost: 5 (for 1 to 5), 1-5 or 2,7; by default 1-10.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="cost: most steps of a training, to try things out.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="cost: trainings at once, each in a process; by default 2.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="cost: folder of results and picture; a measurement that was stopped goes on. "
            "By default bench-cost."
        ),
    ] = None,
    circuits: _Circuits = None,
    family: _Family = None,
    limit: _Limit = None,
    as_json: Json = False,
) -> None:
    """Measure, on the embedded emulator: requests, engines, compilers, Q-Store's claims, costs."""
    options: dict[str, Any] = {"scale": scale, "epochs": epochs, "tasks": tasks}
    options |= {"methods": methods, "steps": steps, "jobs": jobs, "out": out}
    options |= {"circuits": circuits, "family": family, "limit": limit}
    options |= {"seeds": None if seeds is None else parse_seeds(seeds)}
    options = {name: value for name, value in options.items() if value is not None}
    check_known("measurement", only, _MEASUREMENTS)
    measure, allowed = _MEASUREMENTS[only]
    if foreign := [name for name in options if name not in allowed]:
        raise ConfigurationError(f"--{foreign[0]} has no effect on --only {only}. Leave it out.")
    payload, text = measure(**options)
    show(as_json, payload, [text])


def _requests() -> tuple[Any, str]:
    import pennylane as qml

    from pennylane_qstore.bench import gradient_posts, posts

    make_device = partial(qml.device, "qstore.ionq", wires=2)
    steps, gradients = (
        list(part.table(make_device, lambda d: int(d.emulator.stats()["posts"])))
        for part in (posts, gradient_posts)
    )
    tables = f"{posts.text(steps)}\n\n{gradient_posts.text(gradients)}"
    return [asdict(cell) for cell in (*steps, *gradients)], tables


def _gradient() -> tuple[Any, str]:
    from pennylane_qstore.bench import gradient_size

    measured = list(gradient_size.table())
    return [one._asdict() for one in measured], gradient_size.text(measured)


def _engine() -> tuple[Any, str]:
    from pennylane_qstore.bench import calls, engine

    cells, figures = list(engine.table()), list(calls.table())
    shown = f"{engine.text(cells)}\n\nThrough the device:\n{calls.text(figures)}"
    payload = [cell._asdict() for cell in cells]
    return payload + [figure._asdict() for figure in figures], shown


def _compile(
    circuits: Path | None = None, family: str = "zz", limit: float = 60.0
) -> tuple[Any, str]:
    from pennylane_qstore.bench import compile as compilers
    from pennylane_qstore.bench import compile_circuits

    check_one_of("family", family, ("zz", "ms"))
    check_number("limit", limit, above=0, unit="seconds")
    some = compile_circuits.read_circuits(circuits) if circuits else None
    some = some or compile_circuits.default_circuits()
    rows = compilers.compare(
        some, compilers.installed(), family=family, limit_s=limit, report=_report
    )
    notes = compilers.notes(len(some), family, limit)
    payload = {
        "family": family,
        "limit_s": limit,
        "notes": notes,
        "rows": [row.as_dict() for row in rows],
        "scores": [score._asdict() for score in compilers.scores(rows)],
        "losses": [loss._asdict() for loss in compilers.losses(rows)],
    }
    return payload, compilers.text(rows, notes)


def _v34(scale: float = 1.0, epochs: int = 5) -> tuple[Any, str]:
    from pennylane_qstore.bench import v34

    report = v34.v34(scale=scale, epochs=epochs, report=_report)
    return report.as_dict(), report.text()


def _cost(out: Path = Path("bench-cost"), jobs: int = 2, **options: Any) -> tuple[Any, str]:
    from pennylane_qstore.bench import cost

    rows = cost.compare(out, jobs=jobs, report=_report, **options)
    cost.draw(rows, out / "cost.png")
    cost.draw_lists(rows, out / "price-lists.png")
    written = f"Written: {out / 'cost.png'}, {out / 'price-lists.png'}"
    return [asdict(row) for row in rows], f"{cost.text(rows)}\n{written}"


def _report(text: str) -> None:
    typer.echo(text, err=True)


_MEASUREMENTS: Mapping[str, tuple[Callable[..., tuple[Any, str]], tuple[str, ...]]] = {
    "requests": (_requests, ()),
    "gradient": (_gradient, ()),
    "engine": (_engine, ()),
    "compile": (_compile, ("circuits", "family", "limit")),
    "v34": (_v34, ("scale", "epochs")),
    "cost": (_cost, ("tasks", "methods", "seeds", "steps", "jobs", "out")),
}
"""Measurements by name, each with the options that it takes."""
