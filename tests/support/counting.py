"""A device that counts what it sends; default.qubit answers."""

from __future__ import annotations

import pennylane as qml
from pennylane.devices import Device
from pennylane.devices.modifiers import single_tape_support
from pennylane.devices.preprocess import decompose
from pennylane.transforms import diagonalize_measurements, split_non_commuting
from pennylane.transforms.core import CompilePipeline

from pennylane_qstore.deferral import scope
from pennylane_qstore.execution import differentiation, gradients

GATES = {"RX", "RY", "RZ", "CNOT", "Hadamard", "PauliX", "PauliY", "PauliZ", "S", "GlobalPhase"}


@single_tape_support
class CountingDevice(Device):
    """``posts`` has the number of circuits (rows) of every batch sent."""

    name = "counting.qubit"

    def __init__(self, wires=None, *, analytic=True, fail=None, seed=0):
        super().__init__(wires=wires)
        self.posts = []
        self.configs = []
        self.fail = fail
        self.analytic = analytic
        self.backend = qml.device("default.qubit", seed=seed)

    def setup_execution_config(self, config=None, circuit=None):
        config = config or qml.devices.ExecutionConfig()
        return scope.adjust_config(config, circuit)

    def preprocess_transforms(self, execution_config=None):
        pipeline = CompilePipeline()
        pipeline.add_transform(
            decompose,
            target_gates=GATES,
            stopping_condition=lambda op: op.name in GATES,
            name=self.name,
        )
        pipeline.add_transform(split_non_commuting)
        pipeline.add_transform(diagonalize_measurements)
        return pipeline

    def execute(self, circuits, execution_config=None):
        self.configs.append(execution_config)
        if scope.parks(circuits):
            return scope.park(self, tuple(circuits), execution_config)
        return self.run(circuits, self.tracker)

    @property
    def executor(self):
        """The device runs its batches itself."""
        return self

    def run(self, circuits, tracker):
        self.posts.append(sum(c.batch_size or 1 for c in circuits))
        if self.fail is not None:
            self.fail(self)
        tapes, _ = qml.transforms.convert_to_numpy_parameters(circuits)
        if self.analytic:
            tapes = [t.copy(shots=None) for t in tapes]
        return self.backend.execute(tapes)


class GradientDevice(CountingDevice):
    """The same with gradients of its own, hooked up as the real device does."""

    def __init__(self, *args, gradient=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.gradient = gradient or gradients.Gradient()

    def setup_execution_config(self, config=None, circuit=None):
        config = gradients.adjust_config(config or qml.devices.ExecutionConfig(), circuit)
        handed_over = differentiation.is_marked(config)
        return scope.adjust_config(config, circuit, handed_over=handed_over)

    def execute(self, circuits, execution_config=None):
        if differentiation.is_marked(execution_config):
            return differentiation.execute(
                super().execute, self.gradient, circuits, execution_config
            )
        return super().execute(circuits, execution_config)

    def preprocess_transforms(self, execution_config=None):
        pipeline = super().preprocess_transforms(execution_config)
        if execution_config is not None and execution_config.use_device_gradient:
            gradients.add_expansion(pipeline, self.gradient)
        return pipeline

    def supports_derivatives(self, execution_config=None, circuit=None):
        return gradients.supports_derivatives(execution_config, circuit)

    def execute_and_compute_derivatives(self, circuits, execution_config=None):
        tapes, jacobians = self.gradient.tapes(circuits, execution_config)
        results = tuple(self.execute((*circuits, *tapes), execution_config))
        return results[: len(circuits)], jacobians(results[len(circuits) :])

    def compute_derivatives(self, circuits, execution_config=None):
        tapes, jacobians = self.gradient.tapes(circuits, execution_config)
        return jacobians(self.execute(tapes, execution_config) if tapes else ())
