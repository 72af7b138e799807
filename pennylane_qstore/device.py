"""PennyLane's interface: ``qml.device("qstore.ionq", wires=n)``."""

from __future__ import annotations

import copy
import functools
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import single_tape_support
from pennylane.exceptions import DeviceError
from pennylane.tape import QuantumScript, QuantumScriptOrBatch
from pennylane.transforms.core import CompilePipeline
from pennylane.typing import Result, ResultBatch
from pennylane.wires import WiresLike

from pennylane_qstore._version import __version__
from pennylane_qstore.backends import DEBIASING_MIN_SHOTS, MAX_CIRCUITS, JobLimits, is_debiased
from pennylane_qstore.characterization import Characterization
from pennylane_qstore.compat.pennylane import options_given_to, take_out_of_recording
from pennylane_qstore.compat.python import also_unmade, current_frame, stack
from pennylane_qstore.deferral import scope
from pennylane_qstore.deferral.requests import DEFERRED
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.execution import differentiation, gradients
from pennylane_qstore.execution.budget import Quote
from pennylane_qstore.execution.circuits import Target
from pennylane_qstore.execution.executor import Executor
from pennylane_qstore.execution.handle import BatchHandle, first_of, submit
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.partial_results import naming_circuit
from pennylane_qstore.execution.report import StatsReport
from pennylane_qstore.execution.run_scope import RunScope
from pennylane_qstore.execution.tape_shots import with_scope_shots
from pennylane_qstore.measurement.prepare import prepare
from pennylane_qstore.measurement.recipes import NotSupported
from pennylane_qstore.native.frontend.decompose import UnsupportedOperation
from pennylane_qstore.prices import JobSize
from pennylane_qstore.secret import hide_secrets
from pennylane_qstore.validation import check, check_number


@single_tape_support
class IonQDevice(Device):  # type: ignore[misc]
    """IonQ's trapped-ion computers, IonQ's cloud simulator, or the embedded emulator.

    A whole batch of tapes is compiled to native gates once per structure and travels as one
    job. Broadcast tapes are taken as they are: each element of the batch is one circuit of
    the job. Without ``backend`` or ``api_key`` the device runs on an emulator of IonQ's
    service inside this process.

    Every measurement that shots allow is there; without shots, those that probabilities allow,
    on ideal simulators. Mid-circuit measurements are deferred to ancillas, which may lie beyond
    ``wires``; postselection keeps the shots that were selected, and fills them up where
    probabilities are exact and ``postselect_mode="fill-shots"`` asks for it. A classical shadow
    is one job, each snapshot a circuit of one shot.

    Args:
        wires (int or Sequence[Any]): number of wires, or their labels. Without it, each
            circuit brings its own.
        shots (int): as PennyLane's deprecated device argument; give shots to the QNode.
        backend (str): ``"emulator"`` (the default), ``"simulator"``, ``"qpu.forte-1"`` or
            another IonQ backend; a machine that this release does not know is taken as the service
            describes it, with a warning. With ``api_key`` alone, ``"simulator"``.
        api_key (str): IonQ's key, by default from the environment variables ``IONQ_API_KEY``
            or ``PENNYLANE_IONQ_API_KEY``; ``"keyring:ionq"`` takes the system keyring's entry
            ``api_key`` of ``ionq``. Never shown, logged or pickled.
        base_url (str): of the service; https, or http to this machine.
        gateset (str): ``"native"`` (compiled here) or ``"qis"`` (compiled by IonQ).
        two_qubit (str): ``"ms"`` or ``"zz"``; by default as the backend or the noise model's
            machine has it.
        absorb (bool): leave to the readout what only relabels outcomes: trailing diagonal
            gates, X, CNOT and SWAP, what cannot reach a measured wire, and all entanglers of a
            circuit of Clifford gates alone. Exact for every measurement, with shots and without;
            to see a machine entangle qubits, switch it off.
        compile (str): ``"optimize"``, or ``"verbatim"``, which sends every circuit as if it stood
            in :func:`~pennylane_qstore.verbatim`: native gates as they are written, others
            translated one by one, each wire on the qubit of its index. It takes
            ``gateset="native"`` and implies ``absorb=False``.
        effort (float): seconds that each new circuit may be searched for fewer gates, as
            :class:`~pennylane_qstore.IonQNativeGateCompiler` does. By default a quick search, which
            takes a fraction of a second. ``dev.stats["circuit_cache"]["searches_stopped"]`` counts
            those that ran out of time; in a run none does, so that it can be repeated.
        symmetrize (bool): run each row on qubits of its own, among the device's wires, and in a
            Pauli frame of its own, undone when it is read: errors that belong to qubits, pairs
            and readout directions average out over rows. No entangler and no shot more, at most
            one pulse per qubit. Needs ``gateset="native"``; ideal simulators ignore it.
        batch (bool): False sends one job per circuit, one after another.
        cache (bool, int or SmartCircuitCache): True shares templates with the process's other
            devices, False keeps none, a number keeps that many, a cache is used as it is.
        max_circuits_per_job (int or str): by default as many as IonQ takes. ``"adaptive"``
            follows the queue (20, 10 or 5), ``"throughput"`` learns which size has the most
            circuits per second; or an :class:`AdaptiveQueueManager`. ``batch_size=`` is its old
            name.
        pool_size (int): HTTP connections.
        max_wait (float): seconds a job may take before :class:`JobTimeout` is raised (the job
            goes on); by default without limit on a QPU and 120 elsewhere.
        retry_failed (bool): send circuits that failed on the service again, once.
        retry_policy (RetryPolicy): when a request that was not answered is sent again.
        outage_s (float): seconds the service may be away, by default 1800, before a job that was
            surely not sent, or waiting for one that was, ends with :class:`ConnectionFailed`;
            overrides that of ``retry_policy``.
        noise_model (str): ``"aria-1"``, ``"aria-2"`` or ``"forte-1"``, on simulators.
        seed (int): of sampling and of the noise.
        error_mitigation (Mapping): passed on, for example ``{"debiasing": True}``.
        aggregation (str): ``"average"``, ``"voting"`` or ``"dnl"``.
        ledger (Ledger or path): where jobs are recorded before they are sent; by default in
            the user's data folder, and in memory for the emulator.
        on_ambiguous (str): ``"raise"`` or ``"resubmit"``.
        session_id (str): IonQ session that jobs join.
        gradient (str): of ``diff_method="device"``, which sends a forward value and its gradient
            in one batch: ``"parameter-shift"`` or ``"spsa"``.
        num_directions (int), h (float): of ``gradient="spsa"``: pairs of perturbed circuits, and
            their distance in radians, by default chosen for the shots.
        shot_order (bool): where the service gives single shots (noisy simulators, computers),
            ``qml.sample`` returns them in the order taken, which takes one more request per
            circuit sampled (and a list of the job's circuits). False draws their order from
            ``seed``, as it is done where there are no single shots.
        job_name (str), metadata (Mapping[str, str]): go with every job.
        progress (bool or Callable): True shows a bar of each batch; a callable is called with
            each change of a job's state (its id, state, predicted wait).
        run (str): name of a run. A restarted run with the same name finds the jobs it has
            already paid for, in flight or done, batch by batch; it has to be the same run (the
            same seeds, circuits and sizes of jobs, so ``max_circuits_per_job="adaptive"`` is
            refused), or :class:`LedgerError` says where it differs.
        budget_usd (float): limit of what the device and its copies spend; a batch whose estimate
            exceeds what is left is not sent (:class:`BudgetExceeded`). Jobs on simulators cost
            nothing.
        confirm (Callable): called with the :class:`Quote` of every paid batch; False stops it.
        ca_bundle (str), proxy (str): certificate authorities and HTTP proxy of the client.
        emulator (Mapping or Emulator): settings of the embedded emulator, or a running one;
            ``{"machine_noise": {"readout": (0.005, 0.02), "over_rotation": (0.01, 0.03)}}`` adds
            errors by qubit and pair to the noise model's.

    Raises:
        ConfigurationError: an unknown option or value, or no key for a cloud backend.

    **Example**

    >>> import pennylane as qml
    >>> dev = qml.device("qstore.ionq", wires=2)
    >>> @qml.qnode(dev)
    ... def bell():
    ...     qml.Hadamard(0)
    ...     qml.CNOT([0, 1])
    ...     return qml.expval(qml.Z(0) @ qml.Z(1))
    >>> print(round(float(bell()), 6))
    1.0
    """

    name = "qstore.ionq"
    short_name = "qstore.ionq"
    version = __version__
    pennylane_requires = ">=0.45"
    author = "The pennylane-qstore team"

    def __init__(self, wires: WiresLike = None, shots: int | None = None, **options: Any) -> None:
        options = hide_secrets(options)  # before anything can raise
        for frame in stack(current_frame(1)):
            for given in options_given_to(frame):  # PennyLane's own locals
                given.update(hide_secrets(given))
        checked = Options.of(options)
        qubits = checked.target.backend.qubits
        super().__init__(wires=wires, shots=shots)
        if self.wires is not None and len(self.wires) > qubits:
            raise ConfigurationError(
                f"wires={len(self.wires)}, but {checked.backend!r} has {qubits} qubits."
            )
        self._own = Executor(checked, None if self.wires is None else self.wires.labels)
        self._exact: Executor | None = None  # inside exact_scope
        self._pipelines = self._new_pipelines()

    @property
    def executor(self) -> Executor:
        """The part of the device that sends batches; another one in :meth:`exact_scope`."""
        return self._exact or self._own

    @property
    def stats(self) -> StatsReport:
        """Statistics of what was sent and where the time went, as they stand now.

        A dictionary (:meth:`Stats.as_dict` names its entries) with ``report()`` and
        ``figure()``; a notebook shows it as a table.
        """
        return self._own.report()

    @property
    def spent_usd(self) -> float:
        """Billed by this device's jobs, in US dollars; estimates where the bill is not known."""
        return self._own.sender.spent_usd

    @property
    def left_usd(self) -> float | None:
        """Least rest of the budgets of device, run and ledger, in US dollars; None without any."""
        return self._own.sender.left_usd

    @property
    def client(self) -> Any:
        """The :class:`IonQClient` behind the device: its ledger, sessions, jobs."""
        return self._own.sender.client

    @property
    def emulator(self) -> Any:
        """The emulator behind the device; None where there is a service."""
        return self._own.sender.emulator

    @property
    def cache(self) -> Any:
        """The :class:`SmartCircuitCache` of the device's templates."""
        return self._own.cache

    @property
    def target(self) -> Target:
        """Backend, gates and noise model that circuits are compiled for at present.

        With the gates of IonQ's abstract set once the service has refused native ones.
        """
        return self._own.target

    @property
    def adaptive_job_size(self) -> bool:
        """True where the sizes of jobs follow what earlier jobs took."""
        return self._own.options.queue is not None

    @property
    def job_limits(self) -> JobLimits:
        """The limits of the device's jobs."""
        asked = (self._own.options.error_mitigation or {}).get("debiasing")
        gateset, name = self._own.target.gateset, self._own.target.backend.name
        return JobLimits(
            (self._own.options.fixed_job_size or MAX_CIRCUITS) if self._own.sends_batches else 1,
            DEBIASING_MIN_SHOTS if asked else 1,
            is_debiased(name, gateset, DEBIASING_MIN_SHOTS, asked),
        )

    def totals(self) -> dict[str, float]:
        """Return the sums over all batches so far; quicker than :attr:`stats`.

        Returns:
            ``circuits``, ``jobs``, ``requests``, ``queue_s``, ``run_s`` (seconds), ``cost_usd``
            (US dollars) and the other counters of :attr:`stats`.
        """
        return self._own.stats.totals()

    def job_sizes(self, since: int = 0) -> tuple[JobSize, ...]:
        """Return the sizes of the jobs that have results, which a price list turns into dollars.

        Args:
            since: leave out so many, the ``sizes`` of earlier :meth:`totals`.

        Returns:
            Gates, circuits and shots of each job, in order.
        """
        return self._own.stats.job_sizes(since)

    def run_scope(
        self,
        run: str,
        *,
        part: str = "",
        budget_usd: float | None = None,
        progress: Callable[[Any], None] | None = None,
        account: str | None = None,
        sharing: Sequence[IonQDevice] = (),
        spent_usd: float = 0.0,
    ) -> AbstractContextManager[None]:
        """Lend the device to a run: jobs sent inside belong to it.

        Options that were given to the device itself (``run=``, ``budget_usd=``, ``progress=``)
        stay; of two budgets both apply. A device whose ledger ends with the process has no jobs
        to find again and takes no run's name.

        Args:
            run: name of the run in the ledger.
            part: name of what is executed beside the run's steps, an evaluation for example.
            budget_usd: limit of the run's spending over all its devices, in US dollars.
            progress: called with each change of a job's state.
            account: name of the run that the budget is of, where ``run`` names a device of it.
            sharing: all devices of the run.
            spent_usd: what the run had spent, in US dollars, for a ledger that does not know it.

        Returns:
            A context manager.

        Raises:
            ConfigurationError: the budget is no number of dollars.
        """
        check_number("budget_usd", budget_usd, least=0, unit="US dollars", optional=True)
        senders = [device.executor.sender for device in sharing]
        scope = RunScope(run, part, budget_usd, progress, account)
        return self._own.sender.in_run(scope, senders, spent_usd)

    def run_usd(self, run: str, sharing: Sequence[IonQDevice] = ()) -> float:
        """Return what a run has spent: bills, and estimates where the bill is not known.

        Args:
            run: its name.
            sharing: all devices of the run.

        Returns:
            US dollars.
        """
        senders = [device.executor.sender for device in sharing]
        return self._own.sender.run_usd(run, senders)

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Keep what is executed inside from changing later results; its cost counts.

        Random generators and the place in a named run are afterwards where they were before.
        """
        before = self.state_dict()
        try:
            yield
        finally:
            self.load_state_dict({**before, "spent_usd": self.spent_usd})

    def job_scope(self, *, shots: int | None = None) -> AbstractContextManager[None]:
        """Send what is inside with other settings than the tapes' own.

        Args:
            shots: of every circuit; those of a job are the same.

        Returns:
            A context manager.
        """
        return self._own.job_scope(shots=shots)

    @contextmanager
    def exact_scope(self) -> Iterator[None]:
        """Execute what is inside exactly and for nothing, on the emulator in this process.

        The device sends nothing meanwhile; its budget, statistics and random generators stay as
        they are. Counts and samples keep their shots.
        """
        outer, self._exact = self._exact, self._own.exact
        try:
            yield
        finally:
            self._exact = outer

    @contextmanager
    def emulated_scope(
        self, noise_model: str | None = None, seed: int | None = None
    ) -> Iterator[None]:
        """Be another device inside, on the emulator in this process, that costs nothing.

        Shots, gates and job sizes are the device's own; statistics, budget, random generators and
        jobs are those of the other one, and the device's stay as they are.

        Args:
            noise_model: of the results, as the device option; None for none.
            seed: of the results, instead of the device's own.

        Yields:
            None.
        """
        outer, self._own = self._own, self._own.emulated(noise_model, seed)
        try:
            yield
        finally:
            self._own = outer

    def preprocess_transforms(
        self, execution_config: ExecutionConfig | None = None
    ) -> CompilePipeline:
        """Return a pipeline of one transform, :func:`~.measurement.prepare.prepare`.

        Splitting, diagonalising and compiling are remembered per structure and belong to
        :meth:`execute`.
        """
        if execution_config is None:
            return self._pipelines[False, False]
        fill = execution_config.mcm_config.postselect_mode == "fill-shots"
        return self._pipelines[bool(execution_config.use_device_gradient), fill]

    def setup_execution_config(
        self, config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> ExecutionConfig:
        """Complete a configuration.

        Args:
            config: as PennyLane made it.
            circuit: the tape it is for, if known.

        Returns:
            The configuration for :meth:`execute`.

        Raises:
            ConfigurationError: a device option that this device does not have.
        """
        config = config or ExecutionConfig()
        for option in config.device_options:
            if option not in (DEFERRED, gradients.FRAMEWORK):
                raise ConfigurationError(
                    f"Unknown device option {option!r}; options of qstore.ionq are given to "
                    "qml.device."
                )
        method = config.mcm_config.mcm_method
        if method not in (None, "deferred", "device"):
            warnings.warn(
                f"mcm_method={str(method)!r} is not supported on qstore.ionq: measurements are "
                "deferred to ancillas instead, with the same statistics. Leave mcm_method out.",
                UserWarning,
                stacklevel=2,
            )
            config = replace(config, mcm_config=replace(config.mcm_config, mcm_method="deferred"))
        config = gradients.adjust_config(config, circuit)
        handed_over = differentiation.is_marked(config)
        return scope.adjust_config(config, circuit, handed_over=handed_over)

    def execute(
        self,
        circuits: QuantumScriptOrBatch,
        execution_config: ExecutionConfig | None = None,
    ) -> Result | ResultBatch:
        """Execute tapes as one batch.

        Args:
            circuits: tapes.
            execution_config: from :meth:`setup_execution_config`.

        Returns:
            One result per tape.

        Raises:
            QStoreError: nothing was sent, or what was paid for is in the error: its details
                have ``tape_results``, a result per tape with None where one is missing, and
                ``failed_tapes``, the indices of those, which can be executed again. With
                ``run``, the same call again sends only the circuits that failed.
            DeviceError: an operation or a measurement is not supported. Nothing was sent.
        """
        if differentiation.is_marked(execution_config):
            gradient = self.executor.gradient
            return differentiation.execute(self.execute, gradient, circuits, execution_config)
        tapes = with_scope_shots(tuple(circuits), self.executor.shots)
        take_out_of_recording(tapes)
        try:
            if scope.parks(tapes):
                return scope.park(self, tapes, execution_config)
            with naming_circuit(tapes):
                return self.executor.run(tapes, self.tracker)
        except (NotSupported, UnsupportedOperation) as error:
            # PennyLane's tools (its device tests' --skip-ops) look for this very type.
            refused = DeviceError(str(error))
            refused.__notes__ = list(getattr(error, "__notes__", ()))
            raise refused from error

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Tell whether ``diff_method="device"`` differentiates a circuit; see ``gradient``.

        Args:
            execution_config: its configuration.
            circuit: the tape.

        Returns:
            True for first derivatives of expectation values, variances and probabilities.
        """
        return gradients.supports_derivatives(execution_config, circuit)

    def execute_and_compute_derivatives(
        self,
        circuits: QuantumScriptOrBatch,
        execution_config: ExecutionConfig | None = None,
    ) -> tuple[Any, Any]:
        """Execute and differentiate tapes in one batch: one POST for a step forward and back.

        Args:
            circuits: tapes with ``trainable_params`` set and NumPy parameters.
            execution_config: from :meth:`setup_execution_config`.

        Returns:
            Results and Jacobians, one entry per tape, in PennyLane's form.
        """
        tapes, jacobians = self.executor.gradient.tapes(circuits, execution_config)
        results = tuple(self.execute((*circuits, *tapes), execution_config))
        return results[: len(circuits)], jacobians(results[len(circuits) :])

    def compute_derivatives(
        self,
        circuits: QuantumScriptOrBatch,
        execution_config: ExecutionConfig | None = None,
    ) -> Any:
        """Differentiate tapes in one batch.

        Args:
            circuits: tapes with ``trainable_params`` set and NumPy parameters.
            execution_config: from :meth:`setup_execution_config`.

        Returns:
            Jacobians, one entry per tape, in PennyLane's form.
        """
        tapes, jacobians = self.executor.gradient.tapes(circuits, execution_config)
        return jacobians(self.execute(tapes, execution_config) if tapes else ())

    def submit(self, circuits: QuantumScriptOrBatch) -> BatchHandle:
        """Send tapes as one batch, and do not wait: their results may be fetched tomorrow.

        Budget, ledger and compiling are those of :meth:`execute`. Inside a deferred scope the
        tapes are sent at once.

        Args:
            circuits: tapes; ``qml.workflow.construct_batch(qnode, level="user")(*args)`` has them.

        Returns:
            A handle that can be pickled, asked by another process, and awaited; a single tape's
            handle gives that tape's result.

        Raises:
            QStoreError: the details have, as ``handle``, the handle of those jobs that were
                created all the same; None if none was.
            DeviceError: an operation or a measurement is not supported. Nothing was sent.
        """
        single = isinstance(circuits, QuantumScript)
        tapes, after = self.preprocess_transforms()((circuits,) if single else tuple(circuits))
        if single:
            after = functools.partial(first_of, after)
        tapes = with_scope_shots(tuple(tapes), self.executor.shots)
        try:
            return submit(self.executor, tapes, after, self.tracker)
        except (NotSupported, UnsupportedOperation) as error:
            raise DeviceError(str(error)) from error

    def estimate(
        self, circuits: QuantumScript | Sequence[QuantumScript], backend: str | None = None
    ) -> Quote:
        """Return the service's own estimate of what executing tapes costs. Nothing is submitted.

        Args:
            circuits: tapes, with shots; ``qml.workflow.construct_batch(qnode)(*args)`` has them.
            backend: compile and price for this backend instead of the device's own.

        Returns:
            The sum over the jobs that it would take.

        Raises:
            DeviceError: an operation or a measurement is not supported.
        """
        tapes = (circuits,) if isinstance(circuits, QuantumScript) else tuple(circuits)
        prepared, _ = self.preprocess_transforms()(tapes)
        return self._own.quote(prepared, backend)

    def characterization(self, backend: str | None = None) -> Characterization:
        """Return how the service last measured a machine: fidelities, durations, T1 and T2.

        Args:
            backend: IonQ's id; by default the device's own, or the one of its noise model.

        Returns:
            The figures; None for what the service does not tell.

        Raises:
            ConfigurationError: the device simulates no machine, and none is named.
            QStoreError: the service does not tell.
        """
        machine = backend or self.target.machine
        check("backend", machine, machine is not None, "a machine, such as 'qpu.forte-1'")
        figures: Characterization = self.client.characterization(str(machine))
        return figures

    def batch_execute(self, circuits: Sequence[QuantumScript]) -> ResultBatch:
        """Execute tapes as one batch, without a configuration; see :meth:`execute`."""
        return self.execute(tuple(circuits))

    def state_dict(self) -> dict[str, Any]:
        """Return what the next results depend on beside the circuits: random states, the run."""
        return self._own.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`, also of another process: the same results follow.

        With ``run``, batches sent since then are found in the ledger instead of sent again.
        """
        self._own.load_state_dict(state)

    @also_unmade
    def __repr__(self) -> str:
        wires = "" if self.wires is None else f" wires={len(self.wires)}"
        return f"<qstore.ionq device:{wires} backend={self._own.options.backend!r}>"

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name != "_pipelines"}
        return {**kept, "_own": copy.copy(self._own), "_exact": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pipelines = self._new_pipelines()

    def _new_pipelines(self) -> dict[tuple[bool, bool], CompilePipeline]:
        """Make the pipeline for each ``(use_device_gradient, fill-shots)``."""
        pipelines = {}
        for differentiated, fill in itertools.product((False, True), repeat=2):
            pipeline = CompilePipeline()
            pipeline.add_transform(prepare, wires=self.wires, fill=fill)
            if differentiated:
                gradients.add_expansion(pipeline, self._own.gradient)
            pipelines[differentiated, fill] = pipeline
        return pipelines
