"""GET /v1/meta: what a caller has to know before sending anything. Open to everybody; nothing in it is secret.

The trust file's fingerprint is here so that a caller can compare it with the one on paper. It is no trust anchor itself.
"""

import msgspec
from aiohttp import web

from gateway.domain.record import REF_MAX
from gateway.web.bodies import JSON
from gateway.web.middleware import Call


async def get_meta(_: web.Request, call: Call) -> web.StreamResponse:
    """Tell version, chain, trust file and limits."""
    services = call.services
    limits = services.limits
    document = {
        "program": "tiezheng",
        "version": services.version,
        "api": "v1",
        "institution": services.institution,
        "chain_id": services.trust.chain_id,
        "policy_fingerprint": services.trust.fingerprint,
        "limits": {
            "batch_max_items": limits.batch_max_items,
            "body_max_bytes": limits.body_max_bytes,
            "ref_max_chars": REF_MAX,
            "wait_max_s": limits.wait_max_s,
        },
    }
    return web.Response(body=msgspec.json.encode(document), content_type=JSON)
