"""Files made by chance from the formats' own words: both verifiers must read each in the same way or refuse it.

Nobody writes down what is right here; where the two would differ, one of them would have understood a document wrongly.
"""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from receipt_changes import HEADER, PLAIN, WORLD, file, header_fields, lines, patched, with_extra, with_header
from rfc6962_reference import path
from verifiers import Verifiers

from ledger.encoding import pack
from ledger.errors import LedgerError
from ledger.note import ED25519, ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE, VerifierKey, format_vkey
from ledger.trust import parse_trust
from scripts.second_verify import RefusedError, read_trust_file

SEED = 20_261_127


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verifiers:
    """The two programs."""
    return Verifiers(tmp_path, monkeypatch)


PUBLICS = [party.log_seed for party in WORLD.parties]  # not all are points, which is as it should be
KEYS = [
    *(line.split()[1] for line in WORLD.trust().decode().splitlines() if line.startswith("log")),
    *(line.split()[2] for line in WORLD.trust().decode().splitlines() if line.startswith("witness")),
    *(format_vkey(VerifierKey("m.example", ML_DSA_44_COSIGNATURE, bytes([n]) * 1312)) for n in (1, 2)),
    *(format_vkey(VerifierKey(WORLD.origin, ED25519, public)) for public in PUBLICS),
    *(format_vkey(VerifierKey("c.example", ED25519_COSIGNATURE, public)) for public in PUBLICS),
    format_vkey(VerifierKey("w.example", 0x02, bytes(32))),
    "example+00000000+AAAA",
    "no-key",
]
RIGHT_KEYS = len([*WORLD.log_parties, *WORLD.parties]) + 2
ODD_LINES = [
    "",
    "#",
    " \t",
    "# quorum a",
    "from 0",
    "log",
    "Log x",
    "quorum",
    "quorum a",
    "witness a",
    "group a any",
]
NAMES = [
    "a",
    "b",
    "ab",
    "A/a-1",
    "见证",
    "none",
    "any",
    "all",
    "2",
    "a+b",
    "\u3000",
    "n" * 255,
    "n" * 256,
    "\udcff",
]


def trust_file(rng: random.Random) -> str:
    """Some lines, right more often than not: new names and keys are mostly unused, members mostly free."""
    odd = rng.choice([0.0, 0.02, 0.1])
    names, keys = rng.sample(NAMES[:5] * 2 + list("cdefgh"), 8), rng.sample(KEYS[:RIGHT_KEYS], RIGHT_KEYS)
    free: list[str] = []
    text = [f"log {KEYS[0]}"] if rng.random() < 0.9 else []
    for _ in range(rng.randint(1, 7)):
        kind = rng.choice(["log", "witness", "witness", "group", "group"])
        name = rng.choice(NAMES) if rng.random() < odd else names.pop()
        if kind == "group" and free:
            members = rng.sample(free, rng.randint(1, len(free)))
            free = [one for one in free if one not in members or rng.random() < odd]
            rule = rng.choice(
                ["any", "all", "1", "2", "3"] + ["0", "01", "-1", "some"] * (rng.random() < odd)
            )
            text.append(f"group {name} {rule} {' '.join(members)}")
        else:
            right = [one for one in keys if one.startswith(WORLD.origin) == (kind == "log")]
            vkey = rng.choice(KEYS) if rng.random() < odd or not right else right[0]
            keys = [one for one in keys if one != vkey]
            url = rng.choice(["", "", " https://w", f" {chr(0xDCFF)}"] + [" a b"] * (rng.random() < odd))
            text.append(f"log {vkey}{url}" if kind == "log" else f"witness {name} {vkey}{url}")
        if kind != "log":
            free.append(name)
        if rng.random() < odd:
            text.insert(rng.randrange(len(text)), rng.choice(ODD_LINES))
    text.append(f"quorum {rng.choice([*free, 'none']) if rng.random() < 0.9 else 'a'}")
    return "\n".join(text) + ("\n" if rng.random() >= odd else "")


def read_by_first(data: bytes) -> Any:
    """What the first verifier reads in a trust file, None if it refuses it."""
    try:
        trust = parse_trust(data)
    except LedgerError:
        return None
    policy = trust.policy
    keys = {(log.key.name, log.key.key_id): (log.key.kind, log.key.public, "") for log in policy.logs}
    for witness in policy.witnesses:
        key = witness.key
        keys[key.name, key.key_id] = (key.kind, key.public, witness.name)
    groups = {group.name: (group.threshold, list(group.members)) for group in policy.groups}
    return trust.origin, keys, groups, policy.quorum


def read_by_second(data: bytes) -> Any:
    """What the second verifier reads in a trust file, None if it refuses it."""
    try:
        origin, keys, groups, quorum = read_trust_file(data)
    except RefusedError as error:
        return None if error.args[0] == 13 else error
    return origin, {name: tuple(key) for name, key in keys.items()}, groups, quorum


@pytest.mark.usefixtures("both")
def test_trust_files_are_read_alike() -> None:
    """Origin, keys, groups and quorum are the same, or both refuse the file."""
    rng = random.Random(SEED)
    seen: Counter[bool] = Counter()
    for _ in range(4_000):
        data = trust_file(rng).encode("utf-8", "surrogateescape")
        first = read_by_first(data)
        assert first == read_by_second(data), data
        seen[first is not None] += 1
    assert seen[True] > 500 < seen[False], seen


def spelled(rng: random.Random, value: Any) -> bytes:
    """A value in one of msgpack's forms, seldom not the shortest."""
    wide = rng.random() < 0.04
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return b"\xc0" if value is None else b"\xc3" if value is True else b"\xcb" + bytes(8)
    if isinstance(value, int):
        if value < 0:
            return value.to_bytes(1, "big", signed=True)
        size = next(size for size in (0, 1, 2, 4, 8) if value < (128 if size == 0 else 256**size))
        size = min(8, size * 2 or 1) if wide else size
        return (
            value.to_bytes(1, "big")
            if size == 0
            else {1: b"\xcc", 2: b"\xcd", 4: b"\xce", 8: b"\xcf"}[size] + value.to_bytes(size, "big")
        )
    if isinstance(value, list):
        inside = b"".join(spelled(rng, one) for one in value)
        if len(value) < 16 and not wide:
            return bytes([0x90 + len(value)]) + inside
        return (
            b"\xdc" + len(value).to_bytes(2, "big") if not wide else b"\xdd" + len(value).to_bytes(4, "big")
        ) + inside
    data = value.encode() if isinstance(value, str) else value
    short, forms = (32, b"\xd9\xda") if isinstance(value, str) else (0, b"\xc4\xc5")
    if len(data) < short and not wide:
        return bytes([0xA0 + len(data)]) + data
    if len(data) < 256 and not (wide and len(data) >= short):
        return forms[:1] + bytes([len(data)]) + data
    return forms[1:] + len(data).to_bytes(2, "big") + data


ODD: Sequence[Any] = [
    0,
    1,
    127,
    128,
    2**32,
    2**63 - 1,
    2**63,
    -1,
    None,
    True,
    0.0,
    b"",
    bytes(32),
    "",
    "x" * 40,
    [],
    [[]],
]


def test_header_parts_are_read_alike(both: Verifiers) -> None:
    """Header parts with odd values, odd forms, cut or longer: the same exit code."""
    rng = random.Random(SEED)
    seen: Counter[int] = Counter()
    record = WORLD.leaves[WORLD.index]
    proven = path(HEADER, WORLD.leaves)
    for _ in range(1_500):
        fields = header_fields()
        part: list[Any] = [HEADER, b"", list(proven)]
        for target in rng.choices([fields, part], k=rng.choice([0, 0, 1, 2])):
            change = rng.randrange(6)
            if change == 0:
                target.pop(rng.randrange(len(target)))
            elif change == 1:
                target.insert(rng.randrange(len(target)), rng.choice(ODD))
            else:
                target[rng.randrange(len(target))] = rng.choice(ODD)
        leaf = spelled(rng, fields)
        raw = spelled(rng, [leaf if one == b"" else one for one in part])
        cut = rng.choice([None] * 9 + [rng.randrange(len(raw))])
        raw = raw[:cut] + rng.choice([b""] * 20 + [b"\0"])
        first, second = both.codes(*with_extra(WORLD, record + raw))
        assert first == second, (first, second, raw.hex())
        seen[first] += 1
    assert seen[0] > 50 < seen[13], seen


def test_signed_headers_are_judged_alike(both: Verifiers) -> None:
    """Header leaves of any numbers, in the signed tree: the same exit code."""
    rng = random.Random(SEED)
    seen: Counter[int] = Counter()
    numbers = [0, 1, 2, 3, 4, 5, WORLD.index, HEADER, len(WORLD.leaves), 2**40, 2**63 - 1]
    for _ in range(400):
        changes: dict[str, Any] = {
            name: rng.choice(numbers)
            for name in rng.sample(["kind", "height", "term", "records", "tree_size"], rng.randint(0, 3))
        }
        first, second = both.codes(*with_header(header_fields(**changes), at=rng.choice([None, *numbers])))
        assert first == second, changes
        seen[first] += 1
    assert set(seen) == {0, 10, 13}, seen


def test_signed_leaves_are_judged_alike(both: Verifiers) -> None:
    """Record leaves with other bytes at one or two places, in the signed tree: the same exit code."""
    rng = random.Random(SEED)
    seen: Counter[int] = Counter()
    for _ in range(600):
        at = rng.choice(
            [0, 1, 2, 3, 4, 11, 12, 43, 44, 59, 60, 83, 84, 115, 116, 117, 118, 127, rng.randrange(128)]
        )
        new = bytes(rng.choice(b"\0\0\1AZa09-.~ \x7f\x80\xff") for _ in range(rng.randint(1, 3)))[: 128 - at]
        first, second = both.codes(*patched(at, new))
        assert first == second, (at, new)
        seen[first] += 1
    assert set(seen) == {0, 13}, seen


def test_shuffled_lines_are_judged_alike(both: Verifiers) -> None:
    """Receipts whose lines are moved, doubled, dropped or mixed with another receipt's: the same exit code."""
    rng = random.Random(SEED)
    seen: Counter[int] = Counter()
    receipt, trust, digest = file(WORLD, lines(WORLD))
    others = file(PLAIN, lines(PLAIN))[0].decode().split("\n")
    for _ in range(1_500):
        text = receipt.decode().split("\n")
        for _ in range(rng.randint(1, 2)):
            at, to, change = rng.randrange(len(text)), rng.randrange(len(text)), rng.randrange(5)
            if change == 0:
                text[at], text[to] = text[to], text[at]
            elif change == 1:
                text.insert(to, text[at])
            elif change == 2:
                text.pop(at)
            elif change == 3:
                text[at] = rng.choice(others)
            else:
                text[at] += rng.choice([" ", "=", "A", "\r", "\u00a0", "\n"])
        first, second = both.codes("\n".join(text).encode(), trust, digest)
        assert first == second, text
        seen[first] += 1
    assert set(seen) == {0, 10, 11, 13}, seen


def test_the_spelling_tool_is_right() -> None:
    """Without odd forms the tool spells as the ledger does, so that the test above starts from right bytes."""
    never = random.Random()
    never.random = lambda: 1.0  # type: ignore[method-assign]
    values: list[Any] = [
        0,
        127,
        128,
        255,
        256,
        65_535,
        65_536,
        2**32,
        2**63 - 1,
        b"x" * 300,
        "x" * 31,
        "x" * 32,
        [1] * 16,
    ]
    assert spelled(never, values) == pack(values)
