"""GET /v1/records and below."""

import pytest
from gateway_web import Api, item


async def test_a_record_shows_all_its_keys(web: Api) -> None:
    """Null where there is nothing yet; the place and the receipt once it is final."""
    await web.post(item(1))
    answer = await web.call("GET", "/v1/records/r1")
    assert answer.status == 200
    expected = {
        **item(1),
        "id": "r1",
        "state": "pending",
        "code": None,
        "received_at": "2025-11-24T16:00:00.000Z",
        "height": None,
        "index": None,
        "block_time": None,
        "receipt": None,
    }
    assert answer.json == expected
    await web.commit(1, 1)
    final = (await web.call("GET", "/v1/records/r1")).json
    assert final == {
        **expected,
        "state": "final",
        "height": 12,
        "index": 100,
        "block_time": "2025-11-24T16:00:01.000Z",
        "receipt": "/v1/records/r1/receipt",
    }


async def test_a_failed_record_says_why(web: Api) -> None:
    """`code` is the node's refusal; there is no receipt."""
    await web.post(item(1))
    await web.fail(1, "E_CHAIN_SUBMITTER")
    record = (await web.call("GET", "/v1/records/r1")).json
    assert (record["state"], record["code"], record["receipt"]) == ("failed", "E_CHAIN_SUBMITTER", None)
    answer = await web.call("GET", "/v1/records/r1/receipt")
    assert (answer.status, answer.json["code"]) == (409, "E_RECORD_FAILED")


@pytest.mark.parametrize("path", ["/v1/records/r2", "/v1/records/nonsense", "/v1/records/r2/receipt"])
async def test_unknown_records(web: Api, path: str) -> None:
    """404, also for what other keys' sources hold."""
    await web.post(item(1))
    await web.post(item(2, source="CRM"))
    answer = await web.call("GET", path, key="key-sms")
    assert (answer.status, answer.json["code"]) == (404, "E_RECORD_UNKNOWN")


async def test_lists_by_reference_and_source(web: Api) -> None:
    """A filter that matches nothing is an empty page, not an error."""
    for number, source in ((1, "PUSH.SMS"), (2, "CRM"), (3, "CRM")):
        await web.post(item(number, source=source))
    by_ref = await web.call("GET", f"/v1/records?ref={item(2)['ref']}")
    assert [record["id"] for record in by_ref.json["items"]] == ["r2"]
    by_source = await web.call("GET", "/v1/records?source=CRM")
    assert [record["id"] for record in by_source.json["items"]] == ["r2", "r3"]
    both = await web.call("GET", f"/v1/records?source=CRM&ref={item(1)['ref']}")
    assert both.json == {"items": [], "next": None, "has_more": False}
    scoped = await web.call("GET", "/v1/records", key="key-sms")
    assert [record["id"] for record in scoped.json["items"]] == ["r1"]


async def test_pages(web: Api) -> None:
    """Following `next` reaches every record once."""
    await web.post({"items": [item(n) for n in range(5)]})
    seen, path = [], "/v1/records?limit=2"
    while True:
        page = (await web.call("GET", path)).json
        seen += [record["id"] for record in page["items"]]
        assert page["has_more"] is (page["next"] is not None)
        if page["next"] is None:
            break
        path = f"/v1/records?limit=2&cursor={page['next']}"
    assert seen == ["r1", "r2", "r3", "r4", "r5"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "E_PARAMETER"),
        ("limit=201", "E_PARAMETER"),
        ("limit=999999999999", "E_PARAMETER"),
        ("limit=000001" + "9" * 30, "E_PARAMETER"),
        ("limit=0000011", "E_PARAMETER"),
        ("limit=" + "1" * 5_000, "E_PARAMETER"),
        ("limit=x", "E_PARAMETER"),
        ("limit=٣", "E_PARAMETER"),
        ("sources=CRM", "E_PARAMETER"),
        ("source=CRM&source=WECOM", "E_PARAMETER"),
        ("source=crm", "E_PARAMETER"),
        ("cursor=x", "E_CURSOR"),
        ("cursor=", "E_CURSOR"),
    ],
)
async def test_bad_parameters_are_refused(web: Api, query: str, code: str) -> None:
    """A mistyped filter must not list everything."""
    answer = await web.call("GET", f"/v1/records?{query}")
    assert (answer.status, answer.json["code"]) == (400, code)


async def test_a_receipt_comes_as_the_file_it_is(web: Api) -> None:
    """Text, named after the record, only after it was verified; before that 202 with a delay."""
    await web.post(item(1))
    waiting = await web.call("GET", "/v1/records/r1/receipt")
    assert (waiting.status, waiting.headers["Retry-After"]) == (202, "1")
    assert waiting.json == {"id": "r1", "ref": item(1)["ref"], "state": "pending"}
    await web.commit(1, 1)
    unavailable = await web.call("GET", "/v1/records/r1/receipt")
    assert (unavailable.status, unavailable.json["code"]) == (503, "E_RECEIPT_UNAVAILABLE")
    web.door.receipts[100] = b"good receipt\n"
    answer = await web.call("GET", "/v1/records/r1/receipt?with=header")
    assert (answer.status, answer.body) == (200, b"good receipt\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="r1.tlog-proof"'
    web.door.receipts[100] = b"forged"
    assert (await web.call("GET", "/v1/records/r1/receipt")).status == 503
    assert (await web.call("GET", "/v1/records/r1/receipt?with=all")).json["code"] == "E_PARAMETER"
