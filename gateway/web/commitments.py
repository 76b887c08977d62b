"""POST /v1/commitments: the hash-only door.

Rules kept here:
- Items are judged one by one: the good ones are stored, whatever the others are. An item's answer is its id and state, or
  a problem; the answers stand in the order of the items.
- 202 while an accepted record is not settled, 200 when all accepted ones are. When nothing was accepted the answer is a
  problem document itself (with the items' own problems in `items`).
- ``Prefer: wait=N`` waits until the accepted records are settled, at most N seconds and at most the gateway's limit.

Source: RFC 7240 (Prefer), RFC 9110 (202). Refuses: partial storage of one item, echoing refused values.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.channels.commitments import Parsed, parse_json, parse_ndjson
from gateway.domain.access import ApiKey
from gateway.domain.anchoring import SETTLED, State
from gateway.domain.quota import Bucket
from gateway.errors import BusyError
from gateway.usecases.collect import Collected
from gateway.web import problems
from gateway.web.bodies import JSON, body_of, media_type
from gateway.web.ids import format_id
from gateway.web.middleware import Call
from gateway.web.services import Services

_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?:$|[,;])", re.IGNORECASE)

_CONFLICT: Final = "this reference already stands for other content"
_FORBIDDEN: Final = "this API key may not use this item's source"


class _Accepted(msgspec.Struct):
    ref: str
    id: str
    state: str


async def post_commitments(request: web.Request, call: Call) -> web.StreamResponse:
    """Take in one commitment or a batch of them."""
    services, key = call.services, call.caller
    kind = media_type(request)
    async with body_of(request, services) as body:
        limit = services.limits.batch_max_items
        parsed = parse_json(body, limit) if kind == JSON else parse_ndjson(body, limit)
    _take_quota(services, key, parsed.total)
    collected = None if parsed.records is None else await services.collect(key, parsed.records)
    _count(services, parsed, collected)
    if collected is None or not collected.accepted:
        return _all_refused(call.request_id, parsed, _answers(parsed, collected, ()))
    wait_s = _asked_wait(request, services.limits.wait_max_s)
    states = await _states(services, collected, wait_s)
    answers = _answers(parsed, collected, states)
    settled = all(state in SETTLED for state in states if state is not None)
    headers = {} if wait_s is None else {"Preference-Applied": f"wait={wait_s}"}
    if parsed.single:
        headers["Location"] = f"/v1/records/{answers[0].id}"
    document = answers[0] if parsed.single else {"items": answers}
    body_out = msgspec.json.encode(document)
    return web.Response(status=200 if settled else 202, body=body_out, content_type=JSON, headers=headers)


def _take_quota(services: Services, key: ApiKey, count: int) -> None:
    """Charge a request to its key. Raises BusyError E_RATE_LIMITED."""
    per_s = key.records_per_s or services.limits.records_per_s
    if not per_s:
        return
    now_s = services.clock.monotonic_s()
    burst = key.burst or services.limits.burst
    bucket = services.buckets.get(key.name)
    if bucket is None or (bucket.per_s, bucket.burst) != (per_s, burst):
        bucket = services.buckets[key.name] = Bucket.full(per_s, burst, now_s)
    wait_s = bucket.take(count, now_s)
    if wait_s:
        raise BusyError("E_RATE_LIMITED", "this API key hands in records faster than it may", wait_s)


def _asked_wait(request: web.Request, limit_s: int) -> int | None:
    """Return the seconds that the caller is willing to wait, cut to the limit; None when it did not ask."""
    match = _WAIT.search(",".join(request.headers.getall("Prefer", ())))
    return None if match is None else min(int(match[1]), limit_s)


async def _states(services: Services, collected: Collected, wait_s: int | None) -> list[State | None]:
    """Return the state of each collected record, None for those that were not accepted."""
    left_out = collected.conflicts | collected.forbidden
    if wait_s:
        asked: Sequence[int] = [at for at in range(len(collected.ids)) if at not in left_out]
    else:
        asked = sorted(collected.replays)  # what is new is pending; only replays may be anywhere
    places = [collected.places[at] for at in asked]
    if wait_s:
        fresh = not collected.replays  # and nothing was awaited since the admission
        found = await services.waiting.settled(places, wait_s, fresh=fresh)
    else:
        found = await services.waiting.states(places) if places else []
    states: list[State | None] = [
        None if at in left_out else State.PENDING for at in range(len(collected.ids))
    ]
    for at, where in zip(asked, found, strict=True):
        states[at] = where.state
    return states


def _answers(parsed: Parsed, collected: Collected | None, states: Sequence[State | None]) -> list[Any]:
    """Return the answer of each item, in the request's order."""
    answers: list[Any] = [None] * parsed.total
    for at, errors in parsed.refused.items():
        answers[at] = problems.item_problem(errors, at)
    if collected is None:
        return answers
    assert parsed.records is not None
    refs = parsed.records.refs
    for inner, at in enumerate(parsed.positions):
        if inner in collected.conflicts:
            answers[at] = problems.problem("E_IDEMPOTENCY_CONFLICT", _CONFLICT, index=at, ref=refs[inner])
        elif inner in collected.forbidden:
            answers[at] = problems.problem("E_SOURCE_FORBIDDEN", _FORBIDDEN, index=at, ref=refs[inner])
        elif states:
            state = states[inner]
            assert state is not None, "an accepted record has a state"
            answers[at] = _Accepted(refs[inner], format_id(collected.ids[inner]), state)
    return answers


def _all_refused(request_id: str, parsed: Parsed, answers: Sequence[dict[str, Any]]) -> web.Response:
    """Return the answer when nothing was accepted: the item's problem, or the one that all items share."""
    if parsed.single:
        return problems.response({k: v for k, v in answers[0].items() if k != "index"}, request_id)
    codes = {answer["code"] for answer in answers}
    code = codes.pop() if len(codes) == 1 else "E_BATCH_REFUSED"
    document = problems.problem(code, f"none of {parsed.total} items was accepted")
    document["errors"] = [error for answer in answers for error in answer["errors"]]
    return problems.response({**document, "items": list(answers)}, request_id)


def _count(services: Services, parsed: Parsed, collected: Collected | None) -> None:
    """Add a request's items to the figures."""
    records = services.metrics.records
    if parsed.refused:
        records.labels("refused").inc(len(parsed.refused))
    if collected is None:
        return
    new = collected.accepted - len(collected.replays)
    results = {
        "accepted": new,
        "replayed": len(collected.replays),
        "conflict": len(collected.conflicts),
        "forbidden": len(collected.forbidden),
    }
    for result, count in results.items():
        if count:
            records.labels(result).inc(count)
