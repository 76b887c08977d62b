"""The second verifier 第二核验程序: checks one receipt, offline, with nothing but Python 3.9 or newer.

    python3 second_verify.py RECEIPT --policy TRUSTFILE (--digest HEX | --original FILE [--salt FILE.salt])

Why: nobody should have to believe the program that made a receipt. This file shares no line of code with the rest of
the project, imports only the standard library, and can be read in an hour. The text is in the order of the checks:
part A holds the spelling rules and the signature algorithm, part B the checks, part C runs and reports them.

Followed here: RFC 8032 for Ed25519, as strict as libsodium; of C2SP (c2sp.org/NAME) signed-note, tlog-checkpoint,
tlog-cosignature (type 0x04), tlog-policy and tlog-proof; RFC 6962 2.1 and RFC 9162 2.1.3.2 for the tree; the pages
docs/formats of this project ("formats" below) for limits and for the two kinds of leaf.

Rules: the commitment is the reader's own. The receipt's `extra` line is believed by nobody; what it holds counts only
because it hashes to what the signed tree holds. Nothing is partly valid. Refused: whatever is unknown, other spellings
of the same value, trust files of several sections. No clock is asked, no time is judged, no connection is opened.
Exit codes: 0 valid, 2 usage, 4 file missing, 10 content, leaf or path, 11 signatures or policy, 13 unreadable.
"""
# ruff: noqa: PYI024 - plain named tuples keep this short

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

MISSING, CONTENT, TRUST, UNREADABLE = 4, 10, 11, 13
LOG_SIGNATURE, COSIGNATURE, ML_DSA_44 = 0x01, 0x04, 0x06
INT_MAX, EMPTY_ROOT = 2**63 - 1, hashlib.sha256(b"").digest()
Key = namedtuple("Key", "kind public witness")
Trust = namedtuple("Trust", "origin keys groups quorum")
Receipt = namedtuple("Receipt", "leaf more index path text origin size root signatures")
Header = namedtuple("Header", "kind chain height term alg prev ms body records tree_size root governance")


class RefusedError(Exception):
    """A check failed: exit code, reason in Chinese, reason in English."""


def need(holds: bool, code: int, zh: str, en: str) -> None:
    """Go on if a check holds, end everything if not."""
    if not holds:
        raise RefusedError(code, zh, en)


# ==== Part A. Spelling: each value has one spelling, or a proof could be changed without becoming wrong. ====
def decimal(text: str) -> int:
    """Read a number from 0 to 2**63 - 1: ASCII digits, no leading zero (tlog-checkpoint, tlog-proof)."""
    plain = bool(re.fullmatch("0|[1-9][0-9]{0,18}", text)) and int(text) <= INT_MAX
    need(plain, UNREADABLE, "数字写法错误", f"not a plain number: {text[:40]!a}")
    return int(text)


def base64_bytes(text: str, low: int, high: int) -> bytes:
    """Read base64 of `low` to `high` bytes: standard alphabet, padded, spare bits zero (RFC 4648 section 4)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    exact = low <= len(data) <= high and base64.b64encode(data).decode() == text
    need(exact, UNREADABLE, "base64 写法或长度错误", f"wrong base64 or length: {text[:40]!a}")
    return data


def is_name(text: str) -> bool:
    """Say whether a text may name a key: no `+`, white space, control (signed-note); up to 255 bytes (formats)."""
    bad = "[\x00-\x20+\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff]"
    return not re.search(bad, text) and 1 <= len(text.encode()) <= 255


# Forms of msgpack (formats): first byte from..to; i number, b bytes, t text, a array, ? none of ours; how many bytes of
# value or length follow (0: it is in the first byte); the smallest value that no shorter form can spell.
MSGPACK = [(0x00, 0x7F, "i", 0, 0), (0xCC, 0xCC, "i", 1, 2**7), (0xCD, 0xCD, "i", 2, 2**8)]
MSGPACK += [(0xCE, 0xCE, "i", 4, 2**16), (0xCF, 0xCF, "i", 8, 2**32), (0xC4, 0xC4, "b", 1, 0)]
MSGPACK += [(0xC5, 0xC5, "b", 2, 2**8), (0xA0, 0xBF, "t", 0, 0), (0xD9, 0xD9, "t", 1, 32)]
MSGPACK += [(0x90, 0x9F, "a", 0, 0), (0xDC, 0xDC, "a", 2, 16), (0x00, 0xFF, "?", 0, 0)]


def msgpack_items(data: bytes) -> tuple[str, list[Any]]:
    """Read shortest msgpack as one row: the kinds of all items, and their values; an array's is its length."""
    kinds, values, at = "", list[Any](), 0
    while at < len(data):
        low, _, kind, size, smallest = next(form for form in MSGPACK if form[0] <= data[at] <= form[1])
        value: Any = int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else data[at] - low
        need(smallest <= value <= INT_MAX, UNREADABLE, "msgpack 写法错误", "msgpack of another form")
        at += 1 + size
        if kind in "bt":
            value, at = data[at : at + value], at + value
        kinds, values = kinds + kind, [*values, value]
    need(at == len(data), UNREADABLE, "msgpack 不完整", "msgpack that is cut off")
    return kinds, values


# ==== Part A. Ed25519, RFC 8032 section 5.1. A point is (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z, modulo P. ====
Point = tuple[int, int, int, int]
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(p: Point, q: Point) -> Point:
    """Add two points (5.1.4); the formula also doubles."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * D * p[3] * q[3] % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(k: int, p: Point) -> Point:
    """Add a point k times, bit by bit."""
    result = (0, 1, 1, 0)
    for bit in f"{k:b}":
        result = add(result, result)
        result = add(result, p) if bit == "1" else result
    return result


def vanishes(k: int, p: Point) -> bool:
    """Say whether k times a point is the neutral point; with k = 8 the point is "of small order"."""
    x, y, z, _ = times(k, p)
    return x == 0 and y == z


def point_bytes(p: Point) -> bytes:
    """Encode a point (5.1.2): y, and the lowest bit of x on top."""
    inverse = pow(p[2], P - 2, P)
    return (p[1] * inverse % P | (p[0] * inverse % P & 1) << 255).to_bytes(32, "little")


def point_from(data: bytes) -> Point | None:
    """Decode a point (5.1.3); None if there is none or if its canonical encoding is another."""
    y = int.from_bytes(data, "little") & (2**255 - 1)
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P  # a root of u/v or of -u/v
    x = x if (v * x * x - u) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    x = x if x & 1 == data[31] >> 7 else -x % P
    good = (v * x * x - u) % P == 0 and y < P and x & 1 == data[31] >> 7
    return (x, y, 1, x * y % P) if good else None


def is_public_key(data: bytes) -> bool:
    """Say whether this may stand in a trust file: 32 bytes that encode a point of order L (formats)."""
    point = point_from(data) if len(data) == 32 else None
    return point is not None and vanishes(L, point) and not vanishes(8, point)


def ed25519_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Verify (5.1.7) as libsodium does: canonical s and key, neither key nor R of small order, no cofactor."""
    key = point_from(public)
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    base = point_from((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))  # y = 4/5
    if len(signature) != 64 or s >= L or key is None or base is None or vanishes(8, key):
        return False
    h = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L
    found = add(times(s, base), times(h, (-key[0] % P, key[1], 1, -key[3] % P)))
    return point_bytes(found) == r and not vanishes(8, found)


# ==== Part B. The checks. ====
def read(path: Path, most: int) -> bytes:
    """Read at most so many bytes of a file."""
    with path.open("rb") as source:
        return source.read(most)


def own_commitment(digest: str, original: Path | None, salt: Path | None) -> tuple[bytes, str]:
    """Check 1: take the digest, or compute SHA-256(salt || file), without a salt SHA-256(file); say which."""
    if original is None:
        return bytes.fromhex(digest), "--digest"
    beside = original.with_name(original.name + ".salt")
    salt = salt or (beside if beside.exists() else None)
    salt_bytes = read(salt, 33) if salt else b""
    need(not salt or len(salt_bytes) == 32, UNREADABLE, "盐文件不是32字节", "the salt has not 32 bytes")
    total = hashlib.sha256(salt_bytes)
    with original.open("rb") as source:
        for part in iter(lambda: source.read(2**20), b""):
            total.update(part)
    return total.digest(), "SHA-256(salt || file)" if salt else "SHA-256(file)"


def read_vkey(text: str, witness: str) -> tuple[tuple[str, bytes], Key]:
    """Read `name+id+base64(type || key)` (signed-note), recompute the id. ML-DSA-44 may be listed, never counts."""
    name, id_hex, encoded = [*text.split("+", 2), "", ""][:3]
    material = base64_bytes(encoded, 33, 1313)
    kind, public = material[0], material[1:]
    key_id = hashlib.sha256(name.encode("utf-8", "replace") + b"\n" + material).digest()[:4]
    wanted = COSIGNATURE if witness else LOG_SIGNATURE
    good = len(public) == 1312 if kind == ML_DSA_44 else kind == wanted and is_public_key(public)
    good = good and is_name(name) and id_hex == key_id.hex()
    need(good, UNREADABLE, "公钥错误", f"a wrong key, type of key or key id: {text[:60]!a}")
    return (name, key_id), Key(kind, public, witness)


def read_trust_file(data: bytes) -> Trust:
    """Check 2: read `log`, `witness`, `group` and `quorum` lines: whose signatures count (tlog-policy, formats)."""
    clean = data.endswith(b"\n") and not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", data)
    need(clean and len(data) <= 2**20, UNREADABLE, "信任文件不是纯文本", "the trust file is not clean text")
    listed, quorums = [], []
    groups: dict[str, tuple[int, list[str]]] = {}
    free = {"none": False}  # names defined so far; False once a group has it, and for the reserved one
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        items = re.split("[ \t]+", line.strip(" \t"))
        word, count = items[0], len(items)
        if word == "log" and count in (2, 3):
            listed.append(read_vkey(items[1], ""))
        elif word == "quorum" and count == 2 and items[1] in free:
            quorums.append(items[1])
        elif (word == "witness" and count in (3, 4)) or (word == "group" and count >= 4):
            need(is_name(items[1]) and items[1] not in free, UNREADABLE, "名称错误", f"wrong name: {line!a}")
            if word == "witness":
                listed.append(read_vkey(items[2], items[1]))
            else:
                members = items[3:]
                enough = {"any": 1, "all": len(members)}.get(items[2]) or decimal(items[2])
                need(1 <= enough <= len(members), UNREADABLE, "机构组人数错误", f"wrong threshold: {line!a}")
                for member in members:  # defined before, and in no other group
                    need(free.get(member, False), UNREADABLE, "机构组成员错误", f"wrong member: {line!a}")
                    free[member] = False
                groups[items[1]] = (enough, members)
            free[items[1]] = True
        elif word != "" and not word.startswith("#"):
            raise RefusedError(UNREADABLE, "信任文件有不认识的行", f"a line not understood: {line[:60]!a}")
    keys = dict(listed)
    logs = [name for (name, _), key in listed if not key.witness]
    distinct = len(listed) == len(keys) == len({key.public for key in keys.values()})
    few = max(len(logs), len(keys) - len(logs), len(groups)) <= 256
    need(distinct and few, UNREADABLE, "公钥重复或过多", "a key stands twice, or there are too many")
    one = len({*logs}) == len(quorums) == 1 and quorums != ["none"]
    need(one, UNREADABLE, "链或法定数不唯一", "not exactly one chain and one quorum in the trust file")
    return Trust(logs[0], keys, groups, quorums[0])


def read_receipt(data: bytes) -> Receipt:
    """Check 3: take the receipt apart (tlog-proof, tlog-checkpoint, signed-note). Nothing is believed yet."""
    head, _, note = data.decode("utf-8", "surrogateescape").partition("\n\n")
    text, _, signed = note.rpartition("\n\n")
    lines, tree_head = head.split("\n"), text.split("\n")
    labels = [lines[0]] + [line[:6] for line in lines[1:3]] == ["c2sp.org/tlog-proof@v1", "extra ", "index "]
    good = labels and len(lines) <= 3 + 63 and len(tree_head) == 3
    need(good, UNREADABLE, "不是回执文件", "not a tlog-proof, version 1, with a checkpoint of three lines")
    extra, index = base64_bytes(lines[1][6:], 128, 4096), decimal(lines[2][6:])
    path = [base64_bytes(line, 32, 32) for line in lines[3:]]
    origin, size, root = tree_head[0], decimal(tree_head[1]), base64_bytes(tree_head[2], 32, 32)
    signatures = []
    for line in signed.split("\n")[:-1]:
        dash, name, encoded = [*line.split(" ", 2), "", ""][:3]
        need(dash == "\u2014" and is_name(name), UNREADABLE, "签名行错误", f"wrong line: {line[:60]!a}")
        blob = base64_bytes(encoded, 5, 10**6)
        signatures.append((name, blob[:4], blob[4:]))
    good = signed.endswith("\n") and 1 <= len(signatures) <= 100 and len(data) - len(head) - 2 <= 10**6
    good = good and is_name(origin) and (size > 0 or root == EMPTY_ROOT)
    need(good, UNREADABLE, "检查点错误", "a wrong origin or empty tree, no or too many signature lines")
    return Receipt(extra[:128], extra[128:], index, path, text + "\n", origin, size, root, signatures)


def read_record(leaf: bytes) -> str:
    """Check 4: read the record leaf (formats): kind, format, hash algorithm, flag, number, commitment, names."""
    number, flag = int.from_bytes(leaf[4:12], "big"), leaf[3]
    good = leaf[:3] == b"\1\1\1" and flag <= 1 and number <= flag * INT_MAX and leaf[118:] == bytes(10)
    need(good, UNREADABLE, "叶子格式错误", "not a record leaf of format 1 with SHA-256")
    fields = (leaf[44:60], leaf[60:84], leaf[84:116])
    institution, source, template = (field.rstrip(b"\0").decode("latin-1") for field in fields)
    good = bool(re.fullmatch("[A-Z0-9-]+ [A-Z0-9.-]+ [!-~]+", f"{institution} {source} {template}"))
    need(good, UNREADABLE, "叶子字段错误", "a wrong institution, source or template in the leaf")
    version = leaf[116] * 256 + leaf[117]
    return f"{institution}, {source}, {template} v{version}" + f", number {number}" * flag


def read_header(part: bytes) -> tuple[int, bytes, list[bytes], Header]:
    """Check 4, too: read [index, header leaf, [path]]; the leaf is [1, the fields of Header] (formats)."""
    kinds, values = msgpack_items(part)
    path = values[4:]
    good = kinds == "aiba" + "b" * len(path) and [values[0], values[3]] == [3, len(path)] and len(path) <= 63
    need(good and {*map(len, path)} <= {32}, UNREADABLE, "块头部分错误", "a wrong header part")
    kinds, fields = msgpack_items(values[2])
    need(kinds == "aiitiiibibiibb" and fields[:2] == [13, 1], UNREADABLE, "块头格式错误", "a wrong header")
    h = Header(*fields[2:])
    good = {*map(len, (h.prev, h.body, h.root, h.governance))} == {32} and h.alg == 1 <= h.kind <= 4
    good = good and bool(re.fullmatch(rb"[a-z0-9-]{1,40}-[0-9a-f]{8}", h.chain))
    first = (h.height, h.term, h.prev, h.tree_size, h.root) == (0, 0, bytes(32), 0, EMPTY_ROOT)
    good = good and (h.kind == 4) == (h.height == 0) == first and (h.kind == 1) == (h.records > 0)
    need(good and h.records + h.height <= h.tree_size, UNREADABLE, "块头内容错误", "an impossible header")
    return values[1], hashlib.sha256(b"\0" + values[2]).digest(), path, h


def good_signatures(receipt: Receipt, trust: Trust) -> dict[str, int]:
    """Check 6: return witness -> time. A known key's line must verify, another's is ignored (signed-note)."""
    need(receipt.origin == trust.origin, TRUST, "属于另一条链", "the checkpoint is of another chain")
    signed: dict[str, int] = {}
    seen = set()
    for name, key_id, rest in receipt.signatures:
        key = trust.keys.get((name, key_id))
        if key is None or key.kind == ML_DSA_44:
            continue
        message, seconds = receipt.text.encode(), 0
        if key.kind == COSIGNATURE:  # tlog-cosignature: 8 bytes of time, which is signed with the text
            signed[key.witness] = seconds = int.from_bytes(rest[:8], "big")
            message, rest = b"cosignature/v1\ntime %d\n" % seconds + message, rest[8:]  # noqa: PLW2901
        good = key not in seen and seconds <= INT_MAX and ed25519_verifies(key.public, message, rest)
        need(good, TRUST, "已知公钥的签名错误或重复", f"a wrong or doubled signature of {name}")
        seen.add(key)
    need(LOG_SIGNATURE in {key.kind for key in seen}, TRUST, "没有日志签名", "no log of this chain signed")
    return signed


def is_enough(name: str, trust: Trust, signed: dict[str, int]) -> bool:
    """Check 7: say whether a witness signed, or enough members of a group did (tlog-policy)."""
    enough, members = trust.groups.get(name, (1, []))
    return name in signed or sum(is_enough(member, trust, signed) for member in members) >= enough


def path_leads(leaf_hash: bytes, index: int, path: list[bytes], tree: Receipt) -> bool:
    """Checks 8 and 9: say whether a leaf is number `index` of the tree (RFC 6962 2.1, RFC 9162 2.1.3.2)."""
    fn, sn, r = index, tree.size - 1, leaf_hash
    for p in path:
        if sn <= 0:
            return False
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\1" + p + r).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\1" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    return bool(index < tree.size and sn == 0 and r == tree.root)


# ==== Part C. The checks in their order, and the report. ====
def tell(zh_en: str, fact: str) -> None:
    """Print a check that passed and what it found."""
    print(f"通过 ok  {zh_en}: {fact}")


def utc(seconds: int) -> str:
    """Write POSIX seconds as a date, if there is such a date."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if seconds < 2**37 else f"{seconds} s"


def verify(receipt_file: bytes, trust_file: bytes, commitment: bytes) -> Receipt:
    """Run checks 2 to 9. Raises RefusedError at the first that fails."""
    trust = read_trust_file(trust_file)
    tell("信任文件 trust file", f"{trust.origin}, SHA-256 {hashlib.sha256(trust_file).hexdigest()}")
    receipt = read_receipt(receipt_file)
    tell("回执格式 form of the receipt", f"{len(receipt.path)} hashes, {len(receipt.signatures)} signatures")
    tell("叶子格式 form of the leaf", read_record(receipt.leaf))
    header = read_header(receipt.more) if receipt.more else None
    need(receipt.leaf[12:44] == commitment, CONTENT, "摘要与回执不符", "the leaf holds another commitment")
    tell("摘要一致 commitment is the same", commitment.hex())
    signed = good_signatures(receipt, trust)
    for witness, seconds in signed.items():
        tell("签名有效 good signature", f"{witness}, {utc(seconds)}")
    need(is_enough(trust.quorum, trust, signed), TRUST, "签名机构不足", "not enough institutions signed")
    tell("法定数满足 quorum is met", trust.quorum)
    leaf_hash = hashlib.sha256(b"\0" + receipt.leaf).digest()
    good = path_leads(leaf_hash, receipt.index, receipt.path, receipt)
    need(good, CONTENT, "叶子不在已签名的树中", "the path does not lead from the leaf to the signed root")
    tell("叶子在树中 in the tree", f"number {receipt.index} of {receipt.size}, root {receipt.root.hex()}")
    if header:
        index, block_hash, path, h = header
        good = h.chain == trust.origin.encode() and index == h.tree_size
        good = good and h.tree_size - h.records <= receipt.index < h.tree_size
        good = good and path_leads(block_hash, index, path, receipt)
        need(good, CONTENT, "块头与记录不符", "the header is of another block, or not in the tree")
        tell("区块 block", f"height {h.height}, term {h.term}, {utc(h.ms // 1000)}")
    return receipt


def main() -> int:
    """Read the command line, check, report; return the exit code."""
    options = argparse.ArgumentParser(description="铁证存证回执离线核验 Check a Tiezheng receipt offline.")
    options.add_argument("receipt", type=Path, help="回执 the .tlog-proof file")
    options.add_argument("--policy", type=Path, required=True, help="信任文件 the trust file")
    subject = options.add_mutually_exclusive_group(required=True)
    subject.add_argument("--digest", help="摘要 the commitment, 64 hex digits")
    subject.add_argument("--original", type=Path, help="原件 the original file")
    options.add_argument("--salt", type=Path, help="盐文件 its salt (else FILE.salt if there is one)")
    given = options.parse_args()
    if given.original is None and (given.salt or not re.fullmatch("[0-9a-fA-F]{64}", given.digest)):
        options.error("--digest needs 64 hex digits and no --salt")
    try:
        commitment, how = own_commitment(given.digest, given.original, given.salt)
        tell("待证摘要 commitment in question", f"{how} {commitment.hex()}")
        verify(read(given.receipt, 2**21), read(given.policy, 2**21), commitment)
    except (OSError, RefusedError) as error:
        missing = (MISSING, "文件无法读取", str(error))
        code, zh, en = error.args if isinstance(error, RefusedError) else missing
        verdict = "未核验 NOT CHECKED" if code == MISSING else "核验不通过 NOT VALID"
        print(f"不符 NO  {zh} / {en}\n结论 VERDICT: {verdict} (exit code {code})")
        return int(code)
    print("结论 VERDICT: 核验通过 VALID")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main())
