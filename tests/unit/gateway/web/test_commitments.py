"""POST /v1/commitments."""

import asyncio
import json

import pytest
from gateway_web import Api, item

from gateway.errors import FatalStorageError, StorageError


async def test_one_item(web: Api) -> None:
    """202 with id and state, and where the record is."""
    answer = await web.post(item(1))
    assert answer.status == 202
    assert answer.json == {"ref": item(1)["ref"], "id": "r1", "state": "pending"}
    assert answer.headers["Location"] == "/v1/records/r1"


async def test_a_batch_is_judged_item_by_item(web: Api) -> None:
    """Good items are stored; bad ones carry their problem; the order is the request's."""
    await web.post(item(4))
    batch = [item(1), item(2, template_version=0), item(3), item(4, source_seq=9), item(5, source="CRM")]
    answer = await web.post({"items": batch}, key="key-sms")
    assert answer.status == 202
    entries = answer.json["items"]
    assert [entry.get("id") for entry in entries] == ["r2", None, "r3", None, None]
    assert [entry.get("code") for entry in entries] == [
        None,
        "E_FIELD_RANGE",
        None,
        "E_IDEMPOTENCY_CONFLICT",
        "E_SOURCE_FORBIDDEN",
    ]
    assert [entry["index"] for entry in entries if "index" in entry] == [1, 3, 4]
    assert [entry["status"] for entry in entries if "status" in entry] == [422, 409, 403]
    assert "instance" not in entries[1]


async def test_lines(web: Api) -> None:
    """NDJSON in, the same answer out."""
    body = b"\n".join(json.dumps(item(n)).encode() for n in range(3)) + b"\nbroken\n"
    answer = await web.post(body, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 202
    assert [entry.get("id") or entry["code"] for entry in answer.json["items"]] == [
        "r1",
        "r2",
        "r3",
        "E_JSON_SYNTAX",
    ]


async def test_the_same_again_is_the_same_answer(web: Api) -> None:
    """Same reference, same content: same id for ever, with the state of today; 200 once it is settled."""
    first = await web.post({"items": [item(1), item(2)]})
    again = await web.post({"items": [item(1), item(2)]})
    assert (again.status, again.json) == (202, first.json)
    await web.commit(1, 2)
    final = await web.post({"items": [item(1), item(2)]})
    assert final.status == 200
    assert [entry["state"] for entry in final.json["items"]] == ["final", "final"]
    assert [entry["id"] for entry in final.json["items"]] == ["r1", "r2"]
    assert (await web.post(item(1))).status == 200


async def test_other_content_is_a_conflict(web: Api) -> None:
    """409, alone and in a batch of nothing else; the first record stands."""
    await web.post(item(1))
    for changed in (
        item(1, commitment="0" * 64),
        item(1, source_seq=None),
        item(1, template="OTHER"),
        item(1, template_version=2),
    ):
        alone = await web.post(changed)
        assert (alone.status, alone.json["code"]) == (409, "E_IDEMPOTENCY_CONFLICT")
        batch = await web.post({"items": [changed]})
        assert (batch.status, batch.json["code"]) == (409, "E_IDEMPOTENCY_CONFLICT")
        assert batch.json["items"][0]["code"] == "E_IDEMPOTENCY_CONFLICT"
        assert batch.json["items"][0]["ref"] == item(1)["ref"]
    assert (await web.post(item(1))).json["id"] == "r1"
    assert (await web.post(item(1, source="CRM"))).json["id"] == "r2"


async def test_when_nothing_is_accepted_the_answer_is_a_problem(web: Api) -> None:
    """One shared code if all items have it, E_BATCH_REFUSED otherwise; the items' problems are inside."""
    same = await web.post({"items": [item(1, template=""), item(2, template="")]})
    assert (same.status, same.json["code"]) == (422, "E_FIELD_LENGTH")
    assert [e["path"] for e in same.json["errors"]] == ["items[0].template", "items[1].template"]
    mixed = await web.post({"items": [item(1, template=""), {}]})
    assert (mixed.status, mixed.json["code"]) == (422, "E_BATCH_REFUSED")
    assert [entry["code"] for entry in mixed.json["items"]] == ["E_FIELD_LENGTH", "E_FIELD_REQUIRED"]
    forbidden = await web.post(item(1, source="CRM"), key="key-sms")
    assert (forbidden.status, forbidden.json["code"]) == (403, "E_SOURCE_FORBIDDEN")
    assert "index" not in forbidden.json


async def test_refused_values_are_never_repeated(web: Api) -> None:
    """Neither in the problem nor anywhere else in the answer or the telemetry."""
    secrets = ["13800001234", "990000199001010010", "zz" * 32, "秘密"]
    batch = [
        item(1, ref=secrets[0]),
        item(2, ref=secrets[1]),
        item(3, commitment=secrets[2]),
        item(4, **{secrets[3]: 1}),
        item(5, source=secrets[0] + "abc"),
    ]
    answer = await web.post({"items": batch})
    assert answer.status == 422
    text = answer.body.decode() + json.dumps(answer.json, ensure_ascii=False) + str(web.telemetry.lines)
    assert not [secret for secret in secrets if secret in text]
    assert [entry["code"] for entry in answer.json["items"]] == [
        "E_REF_PERSONAL",
        "E_REF_PERSONAL",
        "E_FIELD_PATTERN",
        "E_FIELD_UNKNOWN",
        "E_FIELD_PATTERN",
    ]


async def test_waiting_until_final(web: Api) -> None:
    """Prefer: wait=N answers when the records are settled, and says that the wish was heard."""
    task = asyncio.create_task(
        web.post({"items": [item(1), item(2)]}, headers={"Prefer": "respond-async, wait=20"})
    )
    await asyncio.sleep(0.1)
    assert not task.done()
    await web.commit(1, 2, final=False)
    await asyncio.sleep(0.05)
    assert not task.done()
    await web.store.finalise([run for run, _ in await web.store.unproven(1_000, 10)], None)
    web.services.waiting.changed([1])
    async with asyncio.timeout(3):
        answer = await task
    assert answer.status == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert {entry["state"] for entry in answer.json["items"]} == {"final"}


@pytest.mark.parametrize(
    ("prefer", "applied"), [("wait=0", "wait=0"), ("wait=1", "wait=1"), ("wait=soon", None)]
)
async def test_waiting_has_an_end(web: Api, prefer: str, applied: str | None) -> None:
    """After the time the present state is the answer; a malformed wish is passed over, as RFC 7240 says."""
    async with asyncio.timeout(5):
        answer = await web.post(item(1), headers={"Prefer": prefer})
    assert (answer.status, answer.json["state"]) == (202, "pending")
    assert answer.headers.get("Preference-Applied") == applied


async def test_a_wish_is_cut_to_the_limit(web: Api) -> None:
    """Nobody waits longer than the operator allows."""
    task = asyncio.create_task(web.post(item(1), headers={"Prefer": "wait=999999"}))
    await asyncio.sleep(0.05)
    await web.commit(1, 1)
    answer = await task
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.status == 200


async def test_a_failed_record_is_settled_too(web: Api) -> None:
    """The wait ends; the state says failed."""
    task = asyncio.create_task(web.post(item(1), headers={"Prefer": "wait=20"}))
    await asyncio.sleep(0.05)
    await web.fail(1, "E_CHAIN_SUBMITTER")
    answer = await task
    assert (answer.status, answer.json["state"]) == (200, "failed")


async def test_the_rate_of_a_key_is_limited(web: Api) -> None:
    """429 with the time to wait; nothing of the request is stored."""
    assert (await web.post({"items": [item(1), item(2)]}, key="key-slow")).status == 202
    answer = await web.post(item(3), key="key-slow")
    assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (429, "E_RATE_LIMITED", "1")
    assert web.store.backlog() == 2
    web.clock.now += 1.0
    assert (await web.post(item(3), key="key-slow")).status == 202


async def test_a_full_outbox_takes_nothing(web: Api) -> None:
    """503 with a delay."""
    web.services.collect._outbox_max = 1
    answer = await web.post({"items": [item(1), item(2)]})
    assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (503, "E_OUTBOX_FULL", "30")
    assert web.store.backlog() == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageError("E_STORAGE_FULL", "no room"), "E_STORAGE_FULL"),
        (FatalStorageError("E_STORAGE_FAILED", "disk I/O error"), "E_STORAGE_FAILED"),
    ],
)
async def test_storage_that_refuses_is_told(web: Api, error: StorageError, code: str) -> None:
    """503, never 2xx: what is not durable is not accepted."""

    async def refuse(_: object) -> None:
        raise error

    web.store.admit = refuse  # type: ignore[method-assign,assignment]
    answer = await web.post(item(1))
    assert (answer.status, answer.json["code"]) == (503, code)
    assert answer.json["retryable"] is True
    assert "Retry-After" in answer.headers


async def test_figures_count_items_by_result(web: Api) -> None:
    """accepted, replayed, conflict, forbidden and refused."""
    await web.post({"items": [item(1), item(2), {}]}, key="key-sms")
    await web.post({"items": [item(1), item(2, template="X"), item(3, source="CRM")]}, key="key-sms")
    text = web.services.metrics.exposition().decode()
    for result, count in (
        ("accepted", 2),
        ("replayed", 1),
        ("conflict", 1),
        ("forbidden", 1),
        ("refused", 1),
    ):
        assert f'tiezheng_gateway_records_total{{result="{result}"}} {count}.0' in text
