"""Beyond one byte: files whose signatures and hashes are all right, but whose form or meaning is not.

The tables are the rule book of docs/formats as exit codes: 13 for what cannot be read, 10 for a leaf, path or header
that does not belong to the signed tree, 11 for signatures. Both programs must say the same, and the table's.
"""

import random
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from receipt_changes import (
    HEADER,
    PLAIN,
    WORLD,
    Files,
    at_time,
    file,
    head,
    header_fields,
    lines,
    patched,
    resigned,
    with_extra,
    with_header,
    with_leaf,
    with_text,
    with_trust,
)
from receipt_world import stranger
from verifiers import Verifiers

from ledger.encoding import Value, pack
from ledger.note import ML_DSA_44_COSIGNATURE, Signature, VerifierKey, format_vkey

GOOD, CONTENT, TRUST, UNREADABLE = 0, 10, 11, 13
LOG, *COSIGNED = lines(WORLD)
*BUT_LAST, LAST = [LOG, *COSIGNED]
ALL = file(WORLD, [LOG, *COSIGNED])
STRANGER = stranger(random.Random(1), "x.example")
LATE = (2**63).to_bytes(8, "big")
TOO_FEW = len({party.institution for party in WORLD.parties}) - WORLD.quorum + 1
EMPTY_TREE = f"{WORLD.origin}\n0\n{b64encode(sha256().digest()).decode()}\n".encode()

SIGNATURES: dict[str, tuple[int, Files]] = {
    "all lines, with header": (GOOD, ALL),
    "all lines, without header": (GOOD, file(PLAIN, lines(PLAIN))),
    "a stranger's line twice": (GOOD, file(WORLD, [*BUT_LAST, STRANGER, LAST, STRANGER])),
    "a time of 0": (GOOD, file(WORLD, [*BUT_LAST, at_time(WORLD, 0)])),
    "no log's line": (TRUST, file(WORLD, COSIGNED)),
    "only a log's line": (TRUST, file(WORLD, [LOG])),
    "one institution less than the quorum": (TRUST, file(WORLD, lines(WORLD, skip=TOO_FEW))),
    "exactly the quorum": (GOOD, file(WORLD, lines(WORLD, skip=TOO_FEW - 1))),
    "only strangers": (TRUST, file(WORLD, [STRANGER])),
    "a log's line twice": (TRUST, file(WORLD, [LOG, *COSIGNED, LOG])),
    "a cosignature twice": (TRUST, file(WORLD, [LOG, *COSIGNED, LAST])),
    "two times of one cosigner": (TRUST, file(WORLD, [LOG, *COSIGNED, at_time(WORLD, 0)])),
    "a known line without signature": (TRUST, file(WORLD, [*BUT_LAST, replace(LAST, blob=b"\0")])),
    "a known line, a byte more": (TRUST, file(WORLD, [*BUT_LAST, replace(LAST, blob=LAST.blob + b"\0")])),
    "a time of 2**63 - 1": (GOOD, file(WORLD, [*BUT_LAST, at_time(WORLD, 2**63 - 1)])),
    "a time of 2**63": (TRUST, file(WORLD, [*BUT_LAST, at_time(WORLD, 2**63)])),
    "another time": (TRUST, file(WORLD, [*BUT_LAST, replace(LAST, blob=bytes(8) + LAST.blob[8:])])),
    "a log's signature as cosignature": (
        TRUST,
        file(WORLD, [*BUT_LAST, replace(LAST, blob=bytes(8) + LOG.blob)]),
    ),
    "another chain's checkpoint": (TRUST, resigned(WORLD, head(WORLD, origin="chain-00000000"))),
}

TEXT = ALL[0].decode()
EXTRA = TEXT.split("\n")[1]
INDEX = f"index {WORLD.index}\n"
ZERO_HASH = f"{'A' * 43}=\n"
FORM: dict[str, tuple[int, Files]] = {
    "an extension line, signed": (UNREADABLE, resigned(WORLD, head(WORLD, more="more\n"))),
    "a size with a leading zero, signed": (UNREADABLE, resigned(WORLD, head(WORLD, size="012"))),
    "a size of 2**63, signed": (UNREADABLE, resigned(WORLD, head(WORLD, size=str(2**63)))),
    "a tree of size 0 with a root, signed": (UNREADABLE, resigned(WORLD, head(WORLD, size="0"))),
    "an origin with a space, signed": (UNREADABLE, resigned(WORLD, head(WORLD, origin="a b"))),
    "Windows line ends": (UNREADABLE, with_text(TEXT.replace("\n", "\r\n"))),
    "a byte order mark": (UNREADABLE, with_text("\ufeff" + TEXT)),
    "no newline at the end": (UNREADABLE, with_text(TEXT[:-1])),
    "an empty line at the end": (UNREADABLE, with_text(TEXT + "\n")),
    "an empty line before the checkpoint": (UNREADABLE, with_text(TEXT.replace("\n\n", "\n\n\n", 1))),
    "no extra line": (UNREADABLE, with_text(TEXT.replace(EXTRA + "\n", ""))),
    "two extra lines": (UNREADABLE, with_text(TEXT.replace(EXTRA, f"{EXTRA}\n{EXTRA}"))),
    "no index line": (UNREADABLE, with_text(TEXT.replace(INDEX, ""))),
    "no signature line": (UNREADABLE, with_text(TEXT[: TEXT.rindex("\n\n") + 2])),
    "101 signature lines": (UNREADABLE, with_text(TEXT + "— x AAAAAAA=\n" * 101)),
    "100 signature lines": (GOOD, with_text(TEXT + "— x AAAAAAA=\n" * (99 - len(COSIGNED)))),
    "a name of 256 bytes": (UNREADABLE, with_text(f"{TEXT}— {'n' * 256} AAAAAAA=\n")),
    "a name of 255 bytes": (GOOD, with_text(f"{TEXT}— {'n' * 255} AAAAAAA=\n")),
    "a name with an ideographic space": (UNREADABLE, with_text(f"{TEXT}— a\u3000b AAAAAAA=\n")),
    "a Chinese name": (GOOD, with_text(f"{TEXT}— 见证.example/一 AAAAAAA=\n")),
    "a hyphen for the dash": (UNREADABLE, with_text(f"{TEXT}- x AAAAAAA=\n")),
    "a line with a key id only": (UNREADABLE, with_text(f"{TEXT}— x AAAAAA==\n")),
    "base64 with spare bits": (UNREADABLE, with_text(f"{TEXT}— x AAAAAAB=\n")),
    "two spaces in a line": (UNREADABLE, with_text(f"{TEXT}— x  AAAAAAA=\n")),
    "64 hashes": (UNREADABLE, with_text(TEXT.replace("\n\n", f"\n{ZERO_HASH * 64}\n", 1))),
    "a receipt beyond all limits": (UNREADABLE, with_text(f"{TEXT}— x {'A' * 1_200_000}\n")),
    "a note of 1,000,001 bytes": (
        UNREADABLE,
        with_text(f"{TEXT}— x {'A' * (999_992 - len(TEXT.split(chr(10) * 2, 1)[1].encode()))}\n"),
    ),
    "nothing": (UNREADABLE, with_text("")),
    "another digest": (CONTENT, (*ALL[:2], "00" * 32)),
    "the digest in capitals": (GOOD, (*ALL[:2], ALL[2].upper())),
    "another index": (CONTENT, with_text(TEXT.replace(INDEX, "index 0\n"))),
    "an index outside the tree": (CONTENT, with_text(TEXT.replace(INDEX, f"index {2**63 - 1}\n"))),
    "an index of 2**63": (UNREADABLE, with_text(TEXT.replace(INDEX, f"index {2**63}\n"))),
    "a hash more": (CONTENT, with_text(TEXT.replace("\n\n", f"\n{ZERO_HASH}\n", 1))),
    "a hash less": (CONTENT, with_text(TEXT.replace(TEXT.split("\n")[3] + "\n", "", 1))),
    "a smaller tree, signed": (CONTENT, resigned(WORLD, head(WORLD, size="7"))),
    "the empty tree, signed": (CONTENT, resigned(WORLD, EMPTY_TREE)),
}

GENESIS: list[Value] = [
    1,
    4,
    WORLD.origin,
    0,
    0,
    1,
    bytes(32),
    5,
    bytes(32),
    0,
    0,
    sha256(b"").digest(),
    bytes(32),
]
EARLIER = header_fields(records=1, height=1, tree_size=2)
BEFORE = header_fields(records=WORLD.index - 2, height=1, tree_size=WORLD.index - 1)
SHORT_HASH = pack([HEADER, pack(header_fields()), [bytes(31)]])
LONG_PATH = pack([HEADER, pack(header_fields()), [bytes(32)] * 64])
RECORD = PLAIN.leaves[PLAIN.index]
LEAVES: dict[str, tuple[int, Files]] = {
    "a leaf of kind 2": (UNREADABLE, patched(0, b"\2")),
    "a leaf of format 2": (UNREADABLE, patched(1, b"\2")),
    "a leaf with SM3": (UNREADABLE, patched(2, b"\2")),
    "a leaf with flag bit 1": (UNREADABLE, patched(3, b"\2")),
    "a number without its flag": (UNREADABLE, patched(3, b"\0" + bytes(7) + b"\1")),
    "a number of 2**63": (UNREADABLE, patched(3, b"\1" + LATE)),
    "the number 0": (GOOD, patched(3, b"\1" + bytes(8))),
    "no institution": (UNREADABLE, patched(44, bytes(16))),
    "a lower-case institution": (UNREADABLE, patched(44, b"broker" + bytes(10))),
    "zeros before the institution": (UNREADABLE, patched(44, bytes(10) + b"BROKER")),
    "an institution of 16 characters": (GOOD, patched(44, b"A" * 16)),
    "a space in the source": (UNREADABLE, patched(60, b"A B")),
    "a space in the template code": (UNREADABLE, patched(84, b"A B")),
    "reserved bytes used": (UNREADABLE, patched(127, b"\1")),
    "a header leaf as record": (UNREADABLE, with_leaf(PLAIN, pack(GENESIS)[:128])),
    "a leaf cut short": (UNREADABLE, with_extra(PLAIN, RECORD[:127])),
    "an extra line of 129 bytes": (UNREADABLE, with_extra(PLAIN, RECORD + b"\0")),
    "the header as it is": (GOOD, with_header(header_fields())),
    "a header of another chain": (CONTENT, with_header(header_fields(chain="chain-00000000"))),
    "a header at another place": (CONTENT, with_header(header_fields(), at=1)),
    "a header of an earlier block": (CONTENT, with_header(EARLIER, place=2)),
    "a header of the block before, with all records": (CONTENT, with_header(BEFORE, place=WORLD.index - 1)),
    "a genesis header": (CONTENT, with_header(GENESIS)),
    "a header outside the tree": (CONTENT, with_header(header_fields(tree_size=2**40), at=2**40)),
    "an empty block's header": (CONTENT, with_header(header_fields(kind=3, records=0))),
    "a header with records and without": (UNREADABLE, with_header(header_fields(kind=3))),
    "a header of kind 5": (UNREADABLE, with_header(header_fields(kind=5))),
    "a header of format 2": (UNREADABLE, with_header(header_fields(format=2))),
    "a header with SM3": (UNREADABLE, with_header(header_fields(alg=2))),
    "a height of 0 without genesis": (UNREADABLE, with_header(header_fields(height=0))),
    "a genesis of term 1": (UNREADABLE, with_header([*GENESIS[:4], 1, *GENESIS[5:]])),
    "more blocks than leaves": (UNREADABLE, with_header(header_fields(height=2**40))),
    "a short hash": (UNREADABLE, with_header(header_fields(prev=bytes(31)))),
    "a chain id as bytes": (UNREADABLE, with_header(header_fields(chain=WORLD.origin.encode()))),
    "a chain id in capitals": (UNREADABLE, with_header(header_fields(chain="CHAIN-00000000"))),
    "a path with a short hash": (UNREADABLE, with_extra(WORLD, WORLD.leaves[WORLD.index] + SHORT_HASH)),
    "a path of 64 hashes": (UNREADABLE, with_extra(WORLD, WORLD.leaves[WORLD.index] + LONG_PATH)),
    "a field more": (UNREADABLE, with_header([*header_fields(), 0])),
    "a header of no fields": (UNREADABLE, with_header([])),
    "a header leaf of no bytes": (UNREADABLE, with_header([], leaf=b"")),
}

POLICY = WORLD.trust().decode()
VKEY = format_vkey(VerifierKey("new.example", ML_DSA_44_COSIGNATURE, bytes(1312)))
ML_DSA = Signature("new.example", bytes.fromhex(VKEY.split("+")[1]), bytes(8 + 2420))
ML_DSA_LINE = file(WORLD, [*BUT_LAST, ML_DSA, LAST])[0]
WITNESS = POLICY[POLICY.index("witness") :].split("\n")[0]
MANY = [format_vkey(VerifierKey(WORLD.origin, ML_DSA_44_COSIGNATURE, b"%1312d" % n)) for n in range(257)]
LOGS, WITNESSES = len(WORLD.log_parties), len(WORLD.parties)


def many_logs(count: int) -> Files:
    """A trust file with so many logs."""
    return with_trust("".join(f"log {vkey}\n" for vkey in MANY[: count - LOGS]) + POLICY)


def many_witnesses(count: int) -> Files:
    """A trust file with so many witnesses."""
    return with_trust("".join(f"witness w{n} {MANY[n]}\n" for n in range(count - WITNESSES)) + POLICY)


def many_groups(count: int) -> Files:
    """A trust file with so many groups, each the only member of the next."""
    already = POLICY.count("\ngroup ")
    names = ["institutions", *(f"g{n}" for n in range(count - already))]
    groups = "".join(f"group {name} any {before}\n" for before, name in pairwise(names))
    return with_trust(POLICY[: POLICY.index("quorum")] + groups + f"quorum {names[-1]}\n")


TRUST_FILES: dict[str, tuple[int, Files]] = {
    "comments": (GOOD, with_trust(f"# 注释\n\n \t# more\n{POLICY}")),
    "tabs": (GOOD, with_trust(POLICY.replace(" ", " \t "))),
    "an address behind a key": (GOOD, with_trust(POLICY.replace(WITNESS, WITNESS + " https://例.example/"))),
    "two words behind a key": (UNREADABLE, with_trust(POLICY.replace(WITNESS, WITNESS + " a b"))),
    "an ML-DSA-44 witness more": (GOOD, with_trust(f"witness new {VKEY}\n{POLICY}")),
    "an ML-DSA-44 witness needed": (
        TRUST,
        with_trust(f"witness new {VKEY}\n{POLICY}".replace("quorum institutions", "quorum new")),
    ),
    "a line of an ML-DSA-44 witness": (GOOD, (ML_DSA_LINE, f"witness new {VKEY}\n{POLICY}".encode(), ALL[2])),
    "the ML-DSA-44 key twice": (UNREADABLE, with_trust(f"witness a {VKEY}\nwitness b {VKEY}\n{POLICY}")),
    "several sections": (UNREADABLE, with_trust(f"from 0\n{POLICY}")),
    "no quorum": (UNREADABLE, with_trust(POLICY[: POLICY.index("quorum")])),
    "quorum none": (UNREADABLE, with_trust(POLICY.replace("quorum institutions", "quorum none"))),
    "two quorums": (UNREADABLE, with_trust(POLICY + "quorum institutions\n")),
    "a quorum before its definition": (UNREADABLE, with_trust("quorum institutions\n" + POLICY)),
    "no logs": (UNREADABLE, with_trust(POLICY[POLICY.index("witness") :])),
    "a log twice": (UNREADABLE, with_trust(POLICY.split("\n")[0] + "\n" + POLICY)),
    "a witness as log": (UNREADABLE, with_trust(f"log {WITNESS.split()[2]}\n{POLICY}")),
    "a threshold of 0": (
        UNREADABLE,
        with_trust(POLICY.replace(f" institutions {WORLD.quorum}", " institutions 0")),
    ),
    "a threshold with a zero before": (
        UNREADABLE,
        with_trust(POLICY.replace(" institutions ", " institutions 0", 1)),
    ),
    "a member twice": (UNREADABLE, with_trust(POLICY.replace("\nquorum", f" {WITNESS.split()[1]}\nquorum"))),
    "Windows line ends": (UNREADABLE, with_trust(POLICY.replace("\n", "\r\n"))),
    "no newline at the end": (UNREADABLE, with_trust(POLICY[:-1])),
    "nothing": (UNREADABLE, with_trust("")),
    "256 logs": (GOOD, many_logs(256)),
    "257 logs": (UNREADABLE, many_logs(257)),
    "256 witnesses": (GOOD, many_witnesses(256)),
    "257 witnesses": (UNREADABLE, many_witnesses(257)),
    "256 groups, one in the other": (GOOD, many_groups(256)),
    "257 groups": (UNREADABLE, many_groups(257)),
    "more than 1 MiB": (UNREADABLE, with_trust(POLICY + "#" * 2**20 + "\n")),
}


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verifiers:
    """The two programs."""
    return Verifiers(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(both: Verifiers, name: str) -> None:
    """Who signed, whether it is enough, and that no line of a known key may be wrong or doubled."""
    expected, files = SIGNATURES[name]
    assert both.codes(*files) == (expected, expected)


@pytest.mark.parametrize("name", FORM)
def test_form_and_place(both: Verifiers, name: str) -> None:
    """A value has one spelling; what is well spelled must still be about this digest and in this tree."""
    expected, files = FORM[name]
    assert both.codes(*files) == (expected, expected)


@pytest.mark.parametrize("name", LEAVES)
def test_leaves(both: Verifiers, name: str) -> None:
    """What the signed tree holds must be a record leaf, and the header that of the record's block."""
    expected, files = LEAVES[name]
    assert both.codes(*files) == (expected, expected)


@pytest.mark.parametrize("name", TRUST_FILES)
def test_trust_files(both: Verifiers, name: str) -> None:
    """A trust file says one thing in a way that nobody can misread, or nothing."""
    expected, files = TRUST_FILES[name]
    assert both.codes(*files) == (expected, expected)
