"""Requests are answered to holders of tokens, each as their own user."""

from __future__ import annotations

from collections.abc import Callable

from support.emulator_wire import Wire
from support.gateways import KEY, Site, paid


def test_only_tokens_open_the_gateway(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user("ann")
    assert ann("GET", "/jobs").status == 200
    for key in (None, "apiKey nonsense", f"apiKey {KEY}", "Bearer x"):
        assert ann("GET", "/jobs", headers={"Authorization": key or ""}).status == 401
    assert ann("GET", "/backends", headers={"Authorization": ""}).status == 200


def test_one_connection_may_have_many_users(site: Callable[..., Site]) -> None:
    here = site()
    ann, bob = here.user("ann"), here.user("bob")
    names = [
        ann("GET", "/whoami", headers={"Authorization": str(wire.key)}).json["key_name"]
        for wire in (ann, bob, ann)
    ]
    assert names == ["ann", "bob", "ann"]


def test_a_revoked_token_is_refused(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user("ann")
    here.gateway.tokens.revoke("ann")
    here.gateway.tokens._read_at = float("-inf")
    answer = ann("GET", "/jobs")
    assert answer.status == 401
    assert "ask who runs the gateway" in answer.json["message"]


def test_the_page_is_each_users_own(site: Callable[..., Site]) -> None:
    here = site()
    ann = here.user("ann")
    token = str(ann.key).removeprefix("apiKey ")
    assert ann("GET", "/", headers={"Authorization": ""}).status == 401
    ann.submit()
    stats = f"/admin/stats?token={token}"
    assert ann("GET", stats, headers={"Authorization": ""}).json["jobs"] == 1
    bob = str(here.user("bob").key).removeprefix("apiKey ")
    none = ann("GET", f"/admin/stats?token={bob}", headers={"Authorization": ""})
    assert none.json["jobs"] == 0


def test_the_gateways_own_token_shows_and_cancels_all_jobs_and_sends_none(
    site: Callable[..., Site],
) -> None:
    here = site()
    ann, bob = here.user("ann"), here.user("bob")
    ids = [wire.post(paid(name="mine")) for wire in (ann, bob)]
    own = f"apiKey {here.gateway.page.partition('token=')[2]}"
    headers = {"Authorization": own}
    assert {job["id"] for job in ann("GET", "/jobs", headers=headers).json["jobs"]} == {*ids}
    assert ann("GET", "/admin/stats", headers=headers).json["jobs"] == 2
    assert ann("POST", "/jobs", paid(), headers).status == 403
    cancelled = ann("POST", "/admin/cancel", {"ids": ids}, headers)
    assert cancelled.json["states"] == dict.fromkeys(ids, "canceled")
    assert bob("POST", "/admin/cancel", {"ids": ids}).json["states"] == {ids[1]: "canceled"}
    data = Wire(here.gateway, own).first_event()
    assert [job["user"] for job in data["changed"]] == ["bob", "ann"]
    assert [run["users"] for run in data["runs"]] == [["ann", "bob"]]
    assert KEY not in repr(here.gateway)
