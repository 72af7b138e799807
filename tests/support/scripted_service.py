"""An API object whose transport answers from a script: no socket, no wait."""

from __future__ import annotations

import random

from pennylane_qstore.ionq.http.api import Api
from pennylane_qstore.ionq.http.endpoint import Endpoint
from pennylane_qstore.ionq.http.retry import RetryPolicy

POLICY = RetryPolicy(attempts=3, throttled_attempts=5, base_s=1.0, throttle_base_s=2.0, outage_s=60)


class ScriptedTransport:
    """Answers in turn, the last for ever; exceptions are raised. Notes what was asked."""

    endpoint = Endpoint("http://127.0.0.1:9/v0.4")
    last_date = None

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def request(self, method, path, traffic, *, body=None, max_bytes=0, before=None):
        self.asked.append((method, path))
        traffic.requests += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def redact(self, text):
        return text.replace("canary", "***")


def api_with(fake_clock, *answers, policy=POLICY):
    script = ScriptedTransport(*answers)
    return Api(script, policy, fake_clock.clock(), random.Random(0)), script
