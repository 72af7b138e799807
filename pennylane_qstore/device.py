"""The door to PennyLane: ``qml.device("qstore.ionq", wires=n)``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import single_tape_support
from pennylane.exceptions import DeviceError
from pennylane.tape import QuantumScript, QuantumScriptOrBatch
from pennylane.transforms.core import CompilePipeline
from pennylane.typing import Result, ResultBatch
from pennylane.wires import WiresLike

from pennylane_qstore._version import __version__
from pennylane_qstore.deferral import scope as deferred
from pennylane_qstore.deferral.turns import waiting
from pennylane_qstore.errors import ConfigurationError, QStoreError
from pennylane_qstore.execution import gradients
from pennylane_qstore.execution.batch import execute, requests_of
from pennylane_qstore.execution.circuits import Target
from pennylane_qstore.execution.fallback import Fallback
from pennylane_qstore.execution.options import Options
from pennylane_qstore.execution.partial_results import About
from pennylane_qstore.execution.report import Measured
from pennylane_qstore.execution.sender import Quote, Service
from pennylane_qstore.execution.shot_reader import ShotReader
from pennylane_qstore.execution.stats import Stats
from pennylane_qstore.ionq.messages.job_request import JobRequest
from pennylane_qstore.measurement.prepare import prepare
from pennylane_qstore.measurement.results import NotSupported
from pennylane_qstore.native.cache import SmartCircuitCache
from pennylane_qstore.native.frontend.decompose import UnsupportedOperation

logger = logging.getLogger(__name__)

_SHARED_CACHE = SmartCircuitCache()
"""The default cache: devices of one process share their templates."""


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
            another IonQ backend. With ``api_key`` alone, ``"simulator"``.
        api_key (str): IonQ's key, by default from the environment variables ``IONQ_API_KEY``
            or ``PENNYLANE_IONQ_API_KEY``; ``"keyring:ionq"`` takes the system keyring's entry
            ``api_key`` of ``ionq``. Never shown, logged or pickled.
        base_url (str): of the service; https, or http to this machine.
        gateset (str): ``"native"`` (compiled here) or ``"qis"`` (compiled by IonQ).
        two_qubit (str): ``"ms"`` or ``"zz"``; by default as the backend or the noise model's
            machine has it.
        absorb (bool): leave to the readout what only relabels outcomes: trailing diagonal
            gates, X, CNOT and SWAP, and what cannot reach a measured wire. Exact for every
            measurement, with shots and without.
        batch (bool): False sends one job per circuit, one after another.
        cache (bool, int or SmartCircuitCache): True shares templates with the process's other
            devices, False keeps none, a number keeps that many, a cache is used as it is.
        batch_size (int or str): most circuits per job; by default as many as IonQ takes.
            ``"adaptive"`` follows the queue (20, 10 or 5), ``"throughput"`` learns which size
            has the most circuits per second; or an :class:`AdaptiveQueueManager`.
        pool_size (int): HTTP connections.
        max_wait (float): seconds a job may take before :class:`JobTimeout` is raised (the job
            goes on); by default without limit on a QPU and 120 elsewhere.
        retry_failed (bool): send circuits that failed on the service again, once.
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
            same seeds, circuits and sizes of jobs, so ``batch_size="adaptive"`` is refused), or
            :class:`LedgerError` says where it differs.
        budget_usd (float): a batch whose estimate exceeds what is left is not sent
            (:class:`BudgetExceeded`). Jobs on simulators cost nothing.
        confirm (Callable): called with the :class:`Quote` of every paid batch; False stops it.
        ca_bundle (str), proxy (str): certificate authorities and HTTP proxy of the client.
        emulator (Mapping or Emulator): settings of the embedded emulator, or a running one.

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
        self._options = Options.of(options)
        most = self._options.target.backend.qubits
        super().__init__(wires=wires, shots=shots)
        if self.wires is not None and len(self.wires) > most:
            raise ConfigurationError(
                f"wires={len(self.wires)}, but {self._options.backend!r} has {most} qubits."
            )
        self._prepare()

    @property
    def stats(self) -> Measured:
        """What was sent and where the time went since the device was made, as it stands now.

        A dictionary (:meth:`Stats.as_dict` names its entries) with ``report()`` and
        ``figure()``; a notebook shows it as a table.
        """
        return self._stats.as_dict()

    @property
    def spent_usd(self) -> float:
        """Billed by this device's jobs, in US dollars; estimates where the bill is not known."""
        return self._service.spent_usd

    @property
    def left_usd(self) -> float | None:
        """Left of ``budget_usd``, in US dollars; None without a budget."""
        return self._service.left_usd()

    @property
    def client(self) -> Any:
        """The :class:`IonQClient` behind the device: its ledger, sessions, jobs."""
        return self._service.client

    @property
    def emulator(self) -> Any:
        """The emulator behind the device; None where there is a service."""
        return self._service.emulator

    @property
    def target(self) -> Target:
        """Backend, gates and noise model that circuits are compiled for at present.

        With the gates of IonQ's abstract set once the service has refused native ones.
        """
        return self._fallback.target(self._options.target)

    @property
    def sends_batches(self) -> bool:
        """True unless ``batch=False``, or the service has refused multi-circuit jobs."""
        return self._options.batch and not self._fallback.single

    @property
    def adaptive_job_size(self) -> bool:
        """True where the sizes of jobs follow what earlier jobs took."""
        return self._options.queue is not None

    @property
    def tape_jobs(self) -> list[tuple[str, float | None]]:
        """Job id and seconds on the machine of each tape of the last batch."""
        return list(self._stats.last.get("jobs_of_tapes", ()))

    def totals(self) -> dict[str, float]:
        """Return the sums over all batches so far; quicker than :attr:`stats`.

        Returns:
            ``circuits``, ``jobs``, ``requests``, ``queue_s``, ``run_s`` (seconds), ``cost_usd``
            (US dollars) and the other counters of :attr:`stats`.
        """
        return self._stats.totals()

    @contextmanager
    def run_scope(
        self,
        run: str,
        *,
        part: str = "",
        budget_usd: float | None = None,
        progress: Callable[[Any], None] | None = None,
    ) -> Iterator[None]:
        """Lend the device to a run: jobs sent inside belong to it.

        Options that were given to the device itself (``run=``, ``budget_usd=``, ``progress=``)
        stay. A device whose ledger ends with the process has no jobs to find again and takes no
        run's name.

        Args:
            run: name of the run in the ledger.
            part: name of what is executed beside the run's steps, an evaluation for example.
            budget_usd: limit of the run's spending, in US dollars.
            progress: called with each change of a job's state.
        """
        options, service = self._options, self._service
        before = {name: getattr(options, name) for name in ("run", "budget_usd", "progress")}
        service.part = part
        if options.run is None and self.client.ledger.path is not None:
            spent_usd = self.spent_usd
            options.run = run
            if options.budget_usd is not None:
                # From here on only the run's spending is looked at: the rest is set aside.
                options.budget_usd -= max(spent_usd - self.spent_usd, 0.0)
        if options.budget_usd is None:
            options.budget_usd = budget_usd
        if options.progress is None:
            options.progress = progress
        try:
            yield
        finally:
            service.part = ""
            # The ledger knows what earlier starts of the run have spent.
            service.counted_usd = max(service.counted_usd, service.spent_usd)
            for name, value in before.items():
                setattr(options, name, value)

    @contextmanager
    def job_scope(
        self,
        *,
        session_id: str | None = None,
        job_name: str | None = None,
        gateset: str | None = None,
    ) -> Iterator[None]:
        """Send the jobs inside with other settings than the device's own.

        Args:
            session_id: IonQ session that they join.
            job_name: name of each job.
            gateset: ``"native"`` or ``"qis"``.
        """
        options = self._options
        before = {name: getattr(options, name) for name in ("session_id", "job_name", "target")}
        options.session_id = session_id or options.session_id
        options.job_name = job_name or options.job_name
        options.target = replace(options.target, gateset=gateset or options.target.gateset)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(options, name, value)

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Keep what is executed inside from changing later results; its cost counts.

        Random generators and the place in a named run are afterwards where they were before.
        """
        before = self.state_dict()
        try:
            yield
        finally:
            self.load_state_dict({**before, "spent_usd": self._service.counted_usd})

    @property
    def _order(self) -> tuple[Any, ...] | None:
        """Labels of the wires, None where each circuit brings its own."""
        return None if self.wires is None else self.wires.labels

    def preprocess_transforms(
        self, execution_config: ExecutionConfig | None = None
    ) -> CompilePipeline:
        """One transform: :func:`~pennylane_qstore.measurement.prepare.prepare`.

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

        Raises:
            ConfigurationError: a device option that this device does not have.
        """
        config = config or ExecutionConfig()
        for option in config.device_options:
            if option != deferred.DEFERRED:
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
        return deferred.adjust_config(gradients.adjust_config(config, circuit), circuit)

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
        try:
            return deferred.execute(self, tuple(circuits), execution_config, self._send)
        except (NotSupported, UnsupportedOperation) as error:
            # PennyLane's tools (its device tests' --skip-ops) look for this very type.
            raise DeviceError(str(error)) from error

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Whether ``diff_method="device"`` differentiates this; see ``gradient``."""
        return gradients.supports_derivatives(execution_config, circuit)

    def execute_and_compute_derivatives(
        self,
        circuits: QuantumScriptOrBatch,
        execution_config: ExecutionConfig | None = None,
    ) -> tuple[Any, Any]:
        """Results and gradients of tapes, in one batch: one POST for a step forward and back."""
        return gradients.execute_and_compute_derivatives(
            circuits, execution_config, self.execute, self._gradient
        )

    def compute_derivatives(
        self,
        circuits: QuantumScriptOrBatch,
        execution_config: ExecutionConfig | None = None,
    ) -> Any:
        """Gradients of tapes, in one batch."""
        return gradients.compute_derivatives(
            circuits, execution_config, self.execute, self._gradient
        )

    def estimate(
        self, circuits: QuantumScript | Sequence[QuantumScript], backend: str | None = None
    ) -> Quote:
        """What executing tapes would cost, by the service's own estimate. Nothing is submitted.

        Args:
            circuits: tapes, with shots; ``qml.workflow.construct_batch(qnode)(*args)`` has them.
            backend: compile and price for this backend instead of the device's own.

        Raises:
            DeviceError: an operation or a measurement is not supported.
        """
        tapes = (circuits,) if isinstance(circuits, QuantumScript) else tuple(circuits)
        prepared, _ = self.preprocess_transforms()(tapes)
        return self._service.quote(self.job_requests(prepared, backend), backend)

    def job_requests(
        self, tapes: Sequence[QuantumScript], backend: str | None = None
    ) -> list[JobRequest]:
        """Return the jobs that executing tapes would send. Nothing is sent.

        Args:
            tapes: preprocessed by :meth:`preprocess_transforms`.
            backend: compile for this backend instead of the device's own.
        """
        return requests_of(
            tapes,
            order=self._order,
            target=self.target if backend is None else self._options.target_of(backend),
            packing=self._options.packing,
            cache=self.cache,
        )

    def batch_execute(self, circuits: Sequence[QuantumScript]) -> ResultBatch:
        """Execute tapes as one batch: :meth:`execute` without a configuration."""
        return self.execute(tuple(circuits))

    def state_dict(self) -> dict[str, Any]:
        """What the next results depend on beside the circuits: where chance and the run are."""
        generators = {"rng": self._rng, "noise": self._noise_rng, "gradient": self._gradient.rng}
        return {
            **{name: rng.bit_generator.state for name, rng in generators.items()},
            "batch": self._service.batch,
            "spent_usd": self._service.counted_usd,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`, also of another process: the same results follow.

        With ``run``, batches sent since then are found in the ledger instead of sent again.
        """
        self._rng.bit_generator.state = state["rng"]
        self._noise_rng.bit_generator.state = state["noise"]
        self._gradient.rng.bit_generator.state = state["gradient"]
        self._service.batch, self._service.counted_usd = state["batch"], state["spent_usd"]

    def __repr__(self) -> str:
        wires = "" if self.wires is None else f" wires={len(self.wires)}"
        return f"<qstore.ionq device:{wires} backend={self._options.backend!r}>"

    def __getstate__(self) -> dict[str, Any]:
        kept = {k: v for k, v in vars(self).items() if k not in _REBUILT}
        return {**kept, "_rng_state": self._rng.bit_generator.state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        rng_state = state.pop("_rng_state")
        self.__dict__.update(state)
        self._prepare()
        self._rng.bit_generator.state = rng_state

    def _prepare(self) -> None:
        """What is made anew in every process and copy."""
        options = self._options
        self._rng = np.random.default_rng(options.seed)
        self._noise_rng = np.random.default_rng(None if options.seed is None else [options.seed, 1])
        self._service = Service(options)
        self._fallback = Fallback(self._service.send, options.described)
        self._reader = ShotReader(lambda: self._service.client)
        self.cache = options.cache_of(_SHARED_CACHE)
        self._stats = Stats(cache=self.cache.get_stats, client=self._service.client_stats)
        if options.queue is not None and options.queue.reported_queue_s is None:
            options.queue.reported_queue_s = self._service.reported_queue_s
        self._gradient = gradients.Gradient(
            options.gradient,
            num_directions=options.num_directions,
            h=options.h,
            rng=np.random.default_rng(None if options.seed is None else [options.seed, 2]),
        )
        self._pipelines = {
            (differentiated, fill): self._new_pipeline(differentiated, fill)
            for differentiated in (False, True)
            for fill in (False, True)
        }

    def _new_pipeline(self, differentiated: bool, fill: bool) -> CompilePipeline:
        pipeline = CompilePipeline()
        pipeline.add_transform(prepare, wires=self.wires, fill=fill)
        if differentiated:
            gradients.add_expansion(pipeline, self._gradient)
        return pipeline

    def _send(
        self, circuits: Sequence[QuantumScript], config: ExecutionConfig | None
    ) -> tuple[Any, ...]:
        """Execute for real."""
        circuits = self._with_shots(circuits)
        for i, tape in enumerate(circuits):
            with About(i):
                self._check_shots(tape)
        chance = self._rng.bit_generator.state, self._noise_rng.bit_generator.state
        batch = self._service.batch
        try:
            try:
                found = self._execute(circuits)
            except QStoreError as error:
                if self._fallback.qis or not self._fallback.refuses_native(error):
                    raise
                found = self._execute(circuits)
        except BaseException:
            # Asked for again, the batch is the same one: the ledger knows it by its number and
            # its content. Jobs that are sent one by one have numbers of their own.
            self._service.batch = batch
            self._rng.bit_generator.state, self._noise_rng.bit_generator.state = chance
            raise
        rows = self._stats.last["circuits_by_tape"]
        operations = sum(len(t.operations) * n for t, n in zip(circuits, rows, strict=False))
        self._stats.record_batch(len(circuits), operations)
        if self.tracker.active:
            self._track(circuits)
        if logger.isEnabledFor(logging.DEBUG):
            last = self._stats.last
            logger.debug(
                "%d tape(s) were %d circuit(s) in %d job(s): %s",
                *(len(circuits), last["circuits"], last["jobs"], ", ".join(last["job_ids"])),
            )
        return found

    def _execute(self, circuits: Sequence[QuantumScript]) -> tuple[Any, ...]:
        options = self._options
        return execute(
            circuits,
            order=self._order,
            target=self.target,
            packing=options.packing,
            cache=self.cache,
            send=self._send_jobs,
            rng=self._rng,
            noise_seed=self._noise_seed,
            stats=self._stats,
            read=self._reader if options.shot_order else None,
        )

    def _send_jobs(self, requests: Sequence[JobRequest]) -> Sequence[Any]:
        # Other threads may go on meanwhile, but not where batches are counted or share a budget,
        # nor beside the embedded emulator: it builds PennyLane operators in threads of its own.
        options = self._options
        alone = options.is_emulated or options.run is not None or options.budget_usd is not None
        found: Sequence[Any] = ()
        try:
            with waiting(keep=alone):
                found = self._fallback.send(requests)
        except QStoreError as error:
            if found:  # paid for, but the turn did not come back
                error.job_ids = tuple(job_id for job in found for job_id in job.job_ids)
            raise
        return found

    def _with_shots(self, circuits: Sequence[QuantumScript]) -> Sequence[QuantumScript]:
        """On a backend that samples, tapes without shots take those of their batch.

        QNSPSAOptimizer, for one, forgets the shots of some of its tapes.
        """
        most = max((tape.shots.total_shots or 0 for tape in circuits), default=0)
        if self._options.target.exact or not most or all(tape.shots for tape in circuits):
            return circuits
        warnings.warn(
            f"Some circuits of this batch have no shots, and {self._options.described} samples: "
            f"they are run with {most} shots, as others of the batch.",
            UserWarning,
            stacklevel=2,
        )
        return [tape if tape.shots else tape.copy(shots=most) for tape in circuits]

    def _check_shots(self, tape: QuantumScript) -> None:
        """What samples needs shots."""
        if not tape.shots and not self._options.target.exact:
            raise NotSupported(
                f"Analytic execution (shots=None) not supported on qstore.ionq with "
                f"{self._options.described}: it samples. Give the QNode shots, "
                "qml.set_shots(qnode, shots=1000), or use an ideal simulator."
            )

    def _track(self, circuits: Sequence[QuantumScript]) -> None:
        last = self._stats.last
        shots = sum(
            (tape.shots.total_shots or 0) * n
            for tape, n in zip(circuits, last["circuits_by_tape"], strict=True)
        )
        *others, job_id = last["job_ids"] or (None,)
        for other in others:
            self.tracker.update(job_id=other)
        self.tracker.update(  # the last, so that ``latest`` has all of it
            batches=1,
            executions=last["circuits"],
            shots=shots,
            job_ids=last["job_ids"],
            job_id=job_id,
            **self._stats.increments(),
        )
        self.tracker.record()

    def _noise_seed(self) -> int | None:
        if self._options.seed is None:
            return None
        return int(self._noise_rng.integers(1, 2**31 - 1))


_REBUILT = (
    *("_rng", "_noise_rng", "_stats", "_service", "_fallback", "_reader", "cache"),
    *("_gradient", "_pipelines"),
)
