"""`tiezheng submit` and `tiezheng proof`: a commitment goes in, a receipt comes back.

Why: the shortest way for a person or a shell script to anchor a file. Only the commitment leaves the machine; the
file and its salt stay.

Refuses: an API key on the command line (a file of mode 0600 is named instead).
"""

import re
import secrets
import time
from pathlib import Path
from typing import Any

import click

from scripts.devfolder import gateway_of
from scripts.exit_codes import CommandError, Exit
from scripts.opening import commitment_of, make_salt
from scripts.output import command_errors, emit_json, json_option, note, say
from scripts.web import expect, request

_HEX64 = re.compile(r"[0-9a-f]{64}")
_FINAL_WAIT_MAX_S = 600


def gateway_options(function: Any) -> Any:
    """Add the options that name a gateway: its address and key file, or a development folder that holds both."""
    for option in (
        click.option(
            "--api-key-file", type=click.Path(path_type=Path), help="File of mode 0600 with the API key."
        ),
        click.option("--gateway", "gateway_url", help="Base address, such as http://127.0.0.1:7680."),
        click.option(
            "--data", type=click.Path(path_type=Path), default=None, help="Development network's folder."
        ),
    ):
        function = option(function)
    return function


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--digest", help="A commitment of 64 hex digits instead of a file.")
@click.option("--no-salt", is_flag=True, help="Commit to the plain SHA-256 of the file.")
@click.option("--ref", help="Your reference; the same reference always means the same record.")
@click.option("--source", default="CLI", show_default=True, help="Source name, [A-Z0-9.-].")
@click.option("--template", default="CLI-FILE-01", show_default=True)
@click.option("--template-version", default=1, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--wait", default=0, show_default=True, type=click.IntRange(0, _FINAL_WAIT_MAX_S), help="Seconds to wait."
)
@gateway_options
@json_option
@command_errors
def submit(
    file: Path | None,
    digest: str | None,
    no_salt: bool,
    ref: str | None,
    source: str,
    template: str,
    template_version: int,
    wait: int,
    data: Path | None,
    gateway_url: str | None,
    api_key_file: Path | None,
    as_json: bool,
) -> None:
    """Hand in the commitment of FILE (or --digest) and print the record's id.

    Example: tiezheng submit contract.pdf --wait 10
    """
    commitment = _commitment(file, digest, salted=not no_salt)
    reference = ref or f"cli-{secrets.token_hex(8)}"
    base, key = gateway_of(data, gateway_url, api_key_file)
    item = {
        "ref": reference,
        "commitment": commitment.hex(),
        "source": source,
        "source_seq": None,
        "template": template,
        "template_version": template_version,
    }
    answer = request(f"{base}/v1/commitments", method="POST", document={"items": [item]}, api_key=key)
    result = expect(answer, 200, 202).json()["items"][0]
    if "id" not in result:
        raise CommandError(
            Exit.FAILURE, str(result.get("detail") or result.get("title")), code=str(result.get("code"))
        )
    record = wait_for_state(base, key, result["id"], {"final", "failed"}, wait) if wait else result
    document = {
        "id": result["id"],
        "ref": reference,
        "state": record["state"],
        "commitment": commitment.hex(),
    }
    if as_json:
        emit_json("tiezheng.submit/1", document)
        return
    say(f"{document['id']}  {document['state']}")
    if document["state"] != "final":
        note(f"fetch the receipt when it is final: tiezheng proof {document['id']} -o receipt.tlog-proof")


def _commitment(file: Path | None, digest: str | None, *, salted: bool) -> bytes:
    if (file is None) == (digest is None):
        raise CommandError(
            Exit.USAGE, "give a FILE or --digest, one of them", hint="tiezheng submit FILE --wait 10"
        )
    if digest is not None:
        if not _HEX64.fullmatch(digest):
            raise CommandError(Exit.USAGE, "--digest: 64 lower-case hex digits are needed")
        return bytes.fromhex(digest)
    assert file is not None
    if not file.is_file():
        raise CommandError(
            Exit.NOT_FOUND,
            f"{file} is not a file",
            hint="only a single file has a digest; pack a folder first",
        )
    if salted:
        make_salt(file)
    return commitment_of(file, salted=salted)


def wait_for_state(base: str, key: str, record_id: str, wanted: set[str], timeout_s: float) -> dict[str, Any]:
    """Poll a record until its state is one of `wanted`; return the record.

    Raises CommandError (OUTCOME_UNKNOWN) after `timeout_s` seconds: nothing is lost, ask again later.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = 0.02
    while True:
        record: dict[str, Any] = expect(request(f"{base}/v1/records/{record_id}", api_key=key), 200).json()
        if record["state"] in wanted:
            return record
        if time.monotonic() > deadline:
            raise CommandError(
                Exit.OUTCOME_UNKNOWN,
                f"record {record_id} is {record['state']} after {timeout_s:g} s",
                hint="nothing is lost: it stays in the outbox; `tiezheng status` shows whether a quorum is there",
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.5)


@click.command()
@click.argument("record_id")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; else standard output.")
@click.option("--header", is_flag=True, help="Add the block header and its path: height, term, time.")
@click.option(
    "--wait",
    default=10,
    show_default=True,
    type=click.IntRange(0, _FINAL_WAIT_MAX_S),
    help="Seconds to wait.",
)
@gateway_options
@json_option
@command_errors
def proof(
    record_id: str,
    output: Path | None,
    header: bool,
    wait: int,
    data: Path | None,
    gateway_url: str | None,
    api_key_file: Path | None,
    as_json: bool,
) -> None:
    """Fetch the receipt (a .tlog-proof file) of a record, waiting until it is final.

    Example: tiezheng proof r43 -o receipt.tlog-proof
    """
    base, key = gateway_of(data, gateway_url, api_key_file)
    record = wait_for_state(base, key, record_id, {"final", "failed"}, wait)
    if record["state"] == "failed":
        raise CommandError(
            Exit.FAILURE, "the record was refused for good", code=str(record.get("code") or "")
        )
    query = "?with=header" if header else ""
    answer = expect(request(f"{base}/v1/records/{record_id}/receipt{query}", api_key=key), 200)
    if output is not None:
        output.write_bytes(answer.body)
        note(f"wrote {output}; check it: tiezheng verify {output} --policy TRUSTFILE --original FILE")
    if as_json:
        receipt = answer.body.decode("utf-8")
        emit_json(
            "tiezheng.proof/1", {"id": record_id, "receipt": receipt, "file": str(output) if output else None}
        )
    elif output is None:
        click.echo(answer.body, nl=False)
