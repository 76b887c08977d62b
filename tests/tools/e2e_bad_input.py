"""What bad callers send: tables of bodies, requests, questions and envelopes, with what each has to be refused with.

Why a table: a row is one mistake or one attack, and a new one is one line. The tests walk them against running doors.
"""

import json
import secrets

from e2e_network import item
from node_cluster import leaves

from ledger.encoding import pack
from ledger.envelope import seal_envelope
from node.keys import SigningKey

SECRET = "CANARY-5f3a9c"
"""Stands in whatever a caller sends; nothing may repeat it."""

NO_HTTP = {
    "no HTTP at all": secrets.token_bytes(300) + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01" + bytes(500),
    "an unknown version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "a zero in a key": f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\0\r\n\r\n".encode(),
    "a huge header": f"GET / HTTP/1.1\r\nHost: x\r\nX: {SECRET * 3_000}\r\n\r\n".encode(),
    "a thousand headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "bytes in the path": f"GET /{SECRET}\xff HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"),
}
"""Bytes that are no HTTP request."""

TILES = (
    "0/999",
    "0/000.p/0",
    f"0/000.p/{'9' * 5_000}",
    "64/000",
    "-1/000",
    f"0/{'x999/' * 1_500}999",
    "..%2f..%2fnode.toml",
    "0/000%00",
)
"""Paths below /tile/ that lead to nothing of ours."""

NUMBERS = ("", "-1", "01", "1e3", "9223372036854775808", "9" * 5_000, "%D9%A3", "%00", "%ED%A0%80")
"""What is no number, or none that a tree can have."""

QUESTIONS = [
    *((f"/tile/{path}", "E_READ_NOT_FOUND") for path in TILES),
    *((f"/v1/proof/inclusion?index={number}&size=5", "E_READ_NUMBER") for number in NUMBERS),
    *((f"/v1/blocks/{number}", "E_READ_NUMBER") for number in NUMBERS[1:]),
    ("/v1/proof/inclusion?index=5&size=5", "E_READ_NOT_FOUND"),
    ("/v1/proof/consistency?old=6&new=5", "E_READ_NOT_FOUND"),
    ("/v1/proof/consistency?old=1&new=9223372036854775807", "E_READ_NOT_FOUND"),
    ("/v1/receipt?index=9223372036854775807", "E_READ_NOT_FOUND"),
    ("/v1/receipt?index=0", "E_READ_NOT_RECORD"),
    (f"/v1/find?commitment={'A' * 64}", "E_READ_COMMITMENT"),
    (f"/v1/find?commitment={'0' * 7_000}", "E_READ_COMMITMENT"),
    ("/../../etc/passwd", "E_HTTP_404"),
]
"""Paths of the read door over HTTP, and the code of each refusal."""


def _version(value: str) -> bytes:
    """A good item whose version, the number 1, is spelled as something else."""
    return json.dumps(item()).replace('"template_version": 1', f'"template_version": {value}').encode()


def bodies() -> dict[str, tuple[int, str, bytes]]:
    """Bodies of POST /v1/commitments by name: status, code, bytes."""
    good = json.dumps(item())
    return {
        "empty": (400, "E_JSON_SYNTAX", b""),
        "not UTF-8": (400, "E_JSON_ENCODING", b"\xff\xfe\x00"),
        "cut off": (400, "E_JSON_SYNTAX", good[:-2].encode()),
        "NaN": (400, "E_JSON_SYNTAX", _version("NaN")),
        "a float": (422, "E_FIELD_TYPE", _version("1.0")),
        "a bool": (422, "E_FIELD_TYPE", _version("true")),
        "a huge number": (422, "E_FIELD_RANGE", _version("9" * 100_000)),
        "a negative number": (422, "E_FIELD_RANGE", json.dumps(item(source_seq=-1)).encode()),
        "a key twice": (400, "E_JSON_DUPLICATE_KEY", f'{good[:-1]},"ref":"{SECRET}"}}'.encode()),
        "a key twice, escaped": (400, "E_JSON_DUPLICATE_KEY", f'{good[:-1]},"r\\u0065f":"x"}}'.encode()),
        "nested": (400, "E_JSON_DEPTH", b"[" * 500_000),
        "lone surrogate": (422, "E_FIELD_PATTERN", good.replace('"e2e-', '"\\ud800', 1).encode()),
        "a zero byte": (422, "E_FIELD_PATTERN", json.dumps(item(ref="a\0")).encode()),
        "an unknown key": (422, "E_FIELD_UNKNOWN", json.dumps(item(**{SECRET: SECRET})).encode()),
        "other types": (422, "E_FIELD_TYPE", json.dumps(item() | {"ref": [SECRET], "source": {}}).encode()),
        "a person's number": (422, "E_REF_PERSONAL", json.dumps(item(ref="13800138000")).encode()),
        "10 MB of template": (413, "E_BODY_TOO_LARGE", json.dumps(item(template="T" * 10_000_000)).encode()),
        "900 kB of template": (422, "E_FIELD_LENGTH", json.dumps(item(template="T" * 900_000)).encode()),
        "too many items": (413, "E_BATCH_TOO_LARGE", b'{"items":[' + b"0," * 400_000 + b"0]}"),
    }


def envelopes(chain: str, key: SigningKey) -> dict[str, tuple[str, bytes]]:
    """Bad envelopes by name, with the code that each is refused with."""
    good = leaves(2, first=secrets.randbelow(1 << 40))
    sealed = seal_envelope(chain, "BROKER", key.key_id, good, key.seed)

    def signed(changed: bytes) -> bytes:
        return pack(["BROKER", key.key_id, len(changed) // 129, changed, 1, sealed.signature])

    def leaf(at: int, byte: int) -> bytes:
        return good[:at] + bytes([byte]) + good[at + 1 :]

    other = seal_envelope("other-00000000", "BROKER", key.key_id, good, key.seed)
    stranger = seal_envelope(chain, "BROKER", key.key_id, good, secrets.token_bytes(32))
    market = leaves(1, institution="MARKET")
    return {
        "another chain": ("E_ENVELOPE_SIGNATURE", other.raw),
        "another key": ("E_ENVELOPE_SIGNATURE", stranger.raw),
        "a key of nobody": (
            "E_ENVELOPE_OWNER",
            seal_envelope(chain, "BROKER", "gateway-9", good, key.seed).raw,
        ),
        "somebody else's": (
            "E_ENVELOPE_OWNER",
            seal_envelope(chain, "MARKET", key.key_id, market, key.seed).raw,
        ),
        "a wrong count": ("E_ENVELOPE_COUNT", pack(["BROKER", key.key_id, 3, good, 1, sealed.signature])),
        "garbage": ("E_ENCODING_TRUNCATED", b"\xc6\xff\xff\xff\xff"),
        "a nest": ("E_ENCODING_DEPTH", b"\x91" * 100_000),
        "bytes behind it": ("E_ENCODING_TRAILING", sealed.raw + b"\0"),
        "leaf kind": ("E_LEAF_KIND", signed(leaf(1, 9))),
        "leaf flags": ("E_LEAF_FLAGS", signed(leaf(4, 0x80))),
        "leaf sequence": ("E_LEAF_SEQUENCE", signed(leaf(5, 0xFF))),
        "leaf institution": ("E_LEAF_INSTITUTION", signed(leaf(45, ord("X")))),
        "leaf source": ("E_LEAF_SOURCE", signed(leaf(61, 0))),
        "leaf template": ("E_LEAF_TEMPLATE", signed(leaf(85, 0x20))),
        "leaf reserve": ("E_LEAF_RESERVED", signed(leaf(128, 1))),
        "too many records": (
            "E_ENVELOPE_RECORDS",
            seal_envelope(chain, "BROKER", key.key_id, leaves(5_001), key.seed).raw,
        ),
        "too many bytes": ("E_ENCODING_SIZE", bytes(3 << 20)),
    }
