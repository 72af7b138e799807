"""Choice of the settings of the wine and cancer tasks; no test, run by hand.

Every setting in turn is tried at a few values, in short trainings on both tables. What is judged is
the accuracy on validation rows, which are parts of the training rows; the test rows are not loaded.
As it was run, all samples of a step shared a direction, and step sizes were calibrated from 5 pairs
of points.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pennylane as qml

from pennylane_qstore.training.tasks.catalogue import TASKS, averaged
from pennylane_qstore.training.tasks.data import TABLES, load_table

START = {"layers": 2, "angle": 0.6}
TRIED = {"layers": (1, 2, 3), "angle": (0.4, 0.6, 0.9)}


def accuracy(case):
    """On validation rows, of settings, a table, a seed and a number of steps."""
    settings, name, seed, steps = case
    data = load_table(name, validation=seed)
    device = qml.device("default.qubit", wires=TASKS[name].wires, seed=seed)
    task = replace(TASKS[name], model=replace(TASKS[name].model, **settings))
    options = {"data": data, "seed": seed, "steps": steps, "shots": 500, "batch_size": 20}
    run = task.make(device, progress=False, **options).train(steps)
    return run.evaluate(data.test, averaged(run))["accuracy"]


def best(pool, chosen, setting, values, *cases):
    """The value of a setting with the best mean accuracy, the others as chosen."""
    means = {}
    for value in values:
        settings = {**chosen, setting: value}
        found = list(pool.map(accuracy, itertools.product((settings,), *cases)))
        means[value] = np.mean(found)
        print(setting, value, np.round(found, 3), f"mean {means[value]:.4f}", flush=True)
    return max(values, key=means.__getitem__)


def main():
    """Print all accuracies, and what did best."""
    chosen = dict(START)
    with ProcessPoolExecutor(2) as pool:
        for setting, values in TRIED.items():
            chosen[setting] = best(pool, chosen, setting, values, TABLES, (1, 2, 3), (100,))
    print("best:", chosen)


if __name__ == "__main__":
    main()
