"""`tiezheng verify`: checks a receipt offline, against the reader's own digest and trust file.

Why: a receipt is worth what its reader can find out alone. So this command opens no connection, needs neither gRPC
nor a database, and asks nobody's opinion: the receipt file, a trust file that the reader has compared by another
channel, and the original (or its digest) are enough, years later, with every node gone.

It prints what was checked line by line, then one verdict line. Nothing is partly valid: a receipt that fails has a
verdict and a reason, and none of its facts are shown.

Refuses: to take the digest from the receipt itself; a receipt is always judged about something that the reader brings.
Exit codes: 10 content, leaf or path; 11 signatures or policy; 13 unreadable (scripts/exit_codes.py).
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ledger.errors import LedgerError, ReceiptMismatchError, ReceiptTrustError
from ledger.policy import Policy
from ledger.receipt import VerifiedReceipt, verify_receipt
from ledger.tlogproof import PROOF_BYTES_MAX
from ledger.trust import TrustFile, parse_trust
from scripts.exit_codes import MEANING, CommandError, Exit, exit_for
from scripts.opening import commitment_of, salt_path
from scripts.output import command_errors, emit_json, json_option, say, table

_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
_FILE_BYTES_MAX = (
    PROOF_BYTES_MAX + 1
)  # a byte more than any file that is accepted: the parsers refuse by size
_DATED_S_MAX = 253_402_300_799  # the last second of the year 9999; later times are shown as numbers


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--policy", required=True, type=click.Path(path_type=Path), help="Trust file: whose signatures count."
)
@click.option("--digest", help="The commitment in question, 64 hex digits.")
@click.option(
    "--original",
    type=click.Path(path_type=Path),
    help="The original file; its salt is read from ORIGINAL.salt when that is there.",
)
@json_option
@command_errors
def verify(file: Path, policy: Path, digest: str | None, original: Path | None, as_json: bool) -> None:
    """Check the receipt FILE offline, about --original or --digest.

    Example: tiezheng verify receipt.tlog-proof --policy policy.txt --original contract.pdf
    """
    commitment, how = _commitment(digest, original)
    receipt, trust_bytes = _read(file, "the receipt"), _read(policy, "the trust file")
    trust: TrustFile | None = None
    try:
        trust = parse_trust(trust_bytes)
        verified = verify_receipt(receipt, trust, commitment)
    except LedgerError as error:
        hint = _way_out(error, trust, original)
        raise _refusal(error, "receipt" if trust else "trust file", hint, as_json=as_json) from error
    if as_json:
        emit_json("tiezheng.verify/1", _document(verified, trust, commitment, how))
        return
    say(table(("CHECKED", "FOUND"), _rows(verified, trust, commitment, how)))
    say("VALID 核验通过: the record is in the ledger that the institutions above have signed")


def _commitment(digest: str | None, original: Path | None) -> tuple[bytes, str]:
    if (digest is None) == (original is None):
        raise CommandError(
            Exit.USAGE,
            "give --original FILE or --digest HEX, one of them",
            hint="a receipt is judged about a file or a digest that you bring, never about what it says itself",
        )
    if original is not None:
        salted = salt_path(original).exists()
        return commitment_of(original), "SHA-256(salt || file)" if salted else "SHA-256(file)"
    assert digest is not None
    if not _HEX64.fullmatch(digest):
        raise CommandError(Exit.USAGE, "--digest: 64 hex digits are needed")
    return bytes.fromhex(digest), "as given"


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as source:
            return source.read(_FILE_BYTES_MAX)
    except OSError as error:
        exit_code = exit_for(error)
        hint = (
            "nothing was checked; look at the path" if exit_code is Exit.NOT_FOUND else "nothing was checked"
        )
        raise CommandError(exit_code, f"{what} {path} cannot be read: {error.strerror}", hint=hint) from error


def _exit_of(error: LedgerError) -> Exit:
    if isinstance(error, ReceiptMismatchError):
        return Exit.CONTENT_DIFFERS
    if isinstance(error, ReceiptTrustError):
        return Exit.TRUST_NOT_MET
    return Exit.UNREADABLE


def _way_out(error: LedgerError, trust: TrustFile | None, original: Path | None) -> str:
    """Return what an honest reader should look at before he believes the refusal."""
    exit_code = _exit_of(error)
    if exit_code is Exit.CONTENT_DIFFERS:
        if original is not None and not salt_path(original).exists():
            return f"{salt_path(original)} is not there: if the original was salted, put its salt beside it"
        return "is it the very file, never opened and saved again, with its own salt?"
    if exit_code is Exit.TRUST_NOT_MET:
        return "is it the trust file of this ledger and of that time?"
    if trust is None:
        return "is it a trust file, as an institution published it?"
    return "is it a receipt, unchanged on its way (a mail program may change line ends)?"


def _refusal(error: LedgerError, what: str, hint: str, *, as_json: bool) -> CommandError:
    """Say the verdict and return the error that ends the command."""
    exit_code = _exit_of(error)
    if not as_json:
        english, chinese = MEANING[exit_code]
        say(f"NOT VALID 核验不通过: {english} / {chinese} (exit code {int(exit_code)})")
    return CommandError(exit_code, f"{what}: {error.message}", code=error.code, hint=hint)


def _rows(verified: VerifiedReceipt, trust: TrustFile, commitment: bytes, how: str) -> list[tuple[str, str]]:
    """Return what was checked and what was found, in the order of the checks."""
    record, block = verified.record, verified.block
    sequence = "none" if record.source_seq is None else str(record.source_seq)
    rows = [
        ("trust file 信任文件", f"chain {trust.origin}, fingerprint SHA-256 {trust.fingerprint.hex()}"),
        ("commitment 证据指纹", f"{commitment.hex()} ({how}), and the leaf holds it"),
        ("institution 机构", record.institution),
        ("source 来源", f"{record.source}, sequence number {sequence}"),
        ("template 模板", f"{record.template}, version {record.template_version}"),
        ("log 日志签名", ", ".join(f"{key.name} key {key.key_id.hex()}" for key in verified.logs)),
    ]
    rows += [
        ("cosigned by 联署", f"{one.institution} ({one.witness}) at {_date(one.time_s)}")
        for one in verified.signatures
    ]
    rows += [
        ("quorum 法定数", _quorum(trust.policy)),
        ("tree 树", f"leaf {verified.index} of {verified.size}, root {verified.root.hex()}"),
    ]
    if block is None:
        rows.append(("block 区块", "the receipt brings no header, so it does not say height and time"))
    else:
        when = _date(block.timestamp_ms // 1000)
        rows.append(("block 区块", f"height {block.height}, term {block.term}, time {when}"))
    return rows


def _quorum(policy: Policy) -> str:
    for group in policy.groups:
        if group.name == policy.quorum:
            return f"met: {group.threshold} of {', '.join(group.members)}"
    return f"met: {policy.quorum}"


def _date(time_s: int) -> str:
    """Return POSIX seconds as a date in UTC, or as they are when no calendar has that day."""
    if time_s > _DATED_S_MAX:
        return f"{time_s} s after 1970"
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _document(verified: VerifiedReceipt, trust: TrustFile, commitment: bytes, how: str) -> dict[str, Any]:
    """Return the JSON document of a valid receipt; a refusal is a `tiezheng.error/1` document."""
    record, block = verified.record, verified.block
    return {
        "valid": True,
        "commitment": commitment.hex(),
        "commitment_from": how,
        "trust_file": {"chain_id": trust.origin, "sha256": trust.fingerprint.hex()},
        "record": {
            "institution": record.institution,
            "source": record.source,
            "source_seq": record.source_seq,
            "template": record.template,
            "template_version": record.template_version,
            "leaf": verified.leaf.hex(),
        },
        "tree": {"index": verified.index, "size": verified.size, "root": verified.root.hex()},
        "block": None
        if block is None
        else {"height": block.height, "term": block.term, "timestamp_ms": block.timestamp_ms},
        "log_keys": [f"{key.name}+{key.key_id.hex()}" for key in verified.logs],
        "cosignatures": [
            {"institution": one.institution, "witness": one.witness, "time_s": one.time_s}
            for one in verified.signatures
        ],
    }
