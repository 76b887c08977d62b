"""GET /v1/meta."""

from gateway_web import Api


async def test_meta_tells_what_a_caller_has_to_know(web: Api) -> None:
    """Without a key: version, chain, trust file, limits."""
    answer = await web.call("GET", "/v1/meta", key=None)
    assert answer.status == 200
    assert answer.json == {
        "program": "tiezheng",
        "version": "1.2.3",
        "api": "v1",
        "institution": "BROKER",
        "chain_id": "test-00c0ffee",
        "policy_fingerprint": "f" * 64,
        "limits": {
            "batch_max_items": 1000,
            "body_max_bytes": 1048576,
            "ref_max_chars": 128,
            "wait_max_s": 60,
        },
    }
