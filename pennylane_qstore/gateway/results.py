"""Results of a client's job: its part of what the ledger has, or what IonQ has beside it."""

from __future__ import annotations

import logging
from collections import OrderedDict

import orjson

from pennylane_qstore.backends import is_qpu
from pennylane_qstore.errors import QStoreError, ServiceError
from pennylane_qstore.gateway.jobs import GatewayJob
from pennylane_qstore.gateway.store import Store, group_key
from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.transport import Traffic
from pennylane_qstore.ionq.jobs.packing import unpack
from pennylane_qstore.ionq.jobs.results import circuit_order
from pennylane_qstore.ionq.ledger.ledger import Submission
from pennylane_qstore.ionq.messages.histograms import Histogram
from pennylane_qstore.server.errors import BadRequest, not_found
from pennylane_qstore.server.inputs.copies import circuit_source
from pennylane_qstore.server.job_index import JobIndex
from pennylane_qstore.server.render import AGGREGATE, NATIVE_CIRCUIT, PROBABILITIES
from pennylane_qstore.server.service import Body

logger = logging.getLogger(__name__)

_KEPT = 64
"""Jobs at IonQ whose results, and whose children's ids, are kept in memory."""


class GatewayResults:
    """Reads results; arguments of its methods as the server's protocol has them.

    Args:
        api: IonQ.
        store: of the jobs.
        index: the jobs.
        traffic: counters.
    """

    def __init__(
        self, api: Api, store: Store, index: JobIndex[GatewayJob], traffic: Traffic
    ) -> None:
        self._api, self._store, self._index, self._traffic = api, store, index, traffic
        self._histograms: OrderedDict[int, list[Histogram | None]] = OrderedDict()
        self._children: OrderedDict[int, list[str]] = OrderedDict()

    async def write(self, job_id: str, artifact: str, *, vote: bool) -> Body:
        """Return a result of a completed job.

        Args:
            job_id: id of the job, or of a child.
            artifact: identifier of one of IonQ's formats, or id of a variant.
            vote: whether the variants of a debiased job vote.

        Returns:
            The JSON; probabilities from the ledger, everything else from IonQ.

        Raises:
            BadRequest: there is no such result (yet), or IonQ does not give it.
        """
        job, child = self._index.find(job_id)
        if job.state != "completed" or (job.dry_run and artifact != NATIVE_CIRCUIT):
            raise BadRequest("Job not found or not yet completed.", status=404)
        if not vote and artifact == AGGREGATE:
            named = zip(job.child_ids, self._own(job), strict=True)
            return orjson.dumps({name: _probabilities(one) for name, one in named})
        if not vote and artifact == PROBABILITIES:
            return orjson.dumps(_probabilities(self._own(job)[child or 0]))
        ids = await self._ids(job)
        if artifact == AGGREGATE:
            votes = {
                name: orjson.loads(await self._read(theirs, PROBABILITIES, vote=True))
                for name, theirs in zip(job.child_ids, ids, strict=True)
            }
            return orjson.dumps(votes)
        return await self._read(ids[child or 0], artifact, vote=vote)

    async def read_output(self, job: GatewayJob, child: int | None) -> None:
        """Read IonQ's ``output`` of a completed job: compiled circuits, variants.

        Args:
            job: of a computer, or a dry run; others have none that is of interest.
            child: position of the circuit; ``None`` for the job.
        """
        wanted = is_qpu(job.backend) or job.dry_run
        shown = child is not None or not job.multi
        if job.state != "completed" or not (wanted and shown) or child in job.outputs:
            return
        try:
            path = f"/jobs/{(await self._ids(job))[child or 0]}"
            answer = await self._api.read_object(path, "The job", self._traffic)
        except QStoreError as error:  # it is shown without
            logger.warning("The output of job %s cannot be read: %s", job.id, error)
            return
        output = answer.get("output")
        job.outputs[child] = output if isinstance(output, dict) else {}

    async def source(self, job_id: str, k: int) -> list[dict[str, object]]:
        """Return the gates of a circuit as they were sent.

        Args:
            job_id: id of the job.
            k: position of the circuit.

        Returns:
            The gates in IonQ's JSON.
        """
        (request,) = self._store.requests([self._index.find(job_id)[0]])
        return circuit_source(request, k)

    def likeliest(self, job_id: str, k: int, count: int) -> tuple[int, dict[str, float]]:
        """Return the likeliest outcomes of a circuit.

        Args:
            job_id: id of the job.
            k: position of the circuit.
            count: most outcomes to return.

        Returns:
            The number of all outcomes, and the probabilities of the likeliest ones.

        Raises:
            BadRequest: 404, there are none (yet).
        """
        job, _ = self._index.find(job_id)
        if job.state != "completed" or job.dry_run:
            raise not_found()
        found = _probabilities(self._own(job)[k])
        best = sorted(found, key=lambda state: -found[state])[:count]
        return len(found), {state: found[state] for state in best}

    # ---- private --------------------------------------------------------------------

    def _row(self, job: GatewayJob) -> Submission:
        assert job.group is not None  # noqa: S101  (for the type checker: it has completed)
        return self._store.ledger.history(group_key(job.group))[-1]

    def _own(self, job: GatewayJob) -> list[Histogram | None]:
        """Return the histograms of a job's circuits."""
        assert job.group is not None  # noqa: S101  (as above)
        histograms = self._histograms.get(job.group)
        if histograms is None:
            histograms = self._histograms[job.group] = unpack(self._row(job).results or b"[]")
            if len(self._histograms) > _KEPT:
                self._histograms.popitem(last=False)
        return histograms[job.first : job.first + len(job.circuits)]

    async def _ids(self, job: GatewayJob) -> list[str]:
        """Return IonQ's ids of a job's circuits."""
        assert job.group is not None  # noqa: S101  (as above)
        ids = self._children.get(job.group)
        if ids is None:
            row = self._row(job)
            ids = [row.job_id or ""]
            if row.circuits > 1 or job.multi:
                state = await self._api.job(ids[0], self._traffic)
                children = await self._api.children(ids[0], self._traffic)
                ids = await circuit_order(self._api, state, children, self._traffic, row.circuits)
            self._children[job.group] = ids
            if len(self._children) > _KEPT:
                self._children.popitem(last=False)
        return ids[job.first : job.first + len(job.circuits)]

    async def _read(self, job_id: str, artifact: str, *, vote: bool) -> bytes:
        path = f"/jobs/{job_id}/artifacts/{artifact}"
        if vote:
            path = f"/jobs/{job_id}/results/probabilities?aggregation=voting"
        try:
            return await self._api.read_results(path, bytes, self._traffic)
        except ServiceError as error:
            raise BadRequest(str(error), status=int(error.details.get("status", 502))) from None
        except QStoreError as error:
            raise BadRequest(str(error), status=502) from None


def _probabilities(histogram: Histogram | None) -> dict[str, float]:
    if histogram is None:
        raise not_found()
    states = map(str, histogram.states.tolist())
    return dict(zip(states, histogram.probabilities.tolist(), strict=True))
