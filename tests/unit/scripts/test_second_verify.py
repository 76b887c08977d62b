"""The second verifier alone: its file, its reading of values, its program.

Its answers to published vectors are in tests/agreement/test_published_vectors.py, its agreement with the first verifier
beside that.
"""

import ast
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from receipt_changes import PLAIN, WORLD, file, lines

from ledger.encoding import Value, pack
from scripts import second_verify
from scripts.second_verify import RefusedError, base64_bytes, decimal, is_name, msgpack_items

SOURCE = Path(second_verify.__file__)
RECEIPT, TRUST_FILE, DIGEST = file(WORLD, lines(WORLD))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The file as a program, without any installed package, in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SOURCE), *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def court(tmp_path: Path) -> Path:
    """A folder with a receipt, a trust file and nothing else."""
    (tmp_path / "r.tlog-proof").write_bytes(RECEIPT)
    (tmp_path / "policy.txt").write_bytes(TRUST_FILE)
    return tmp_path


# --- the file itself ---------------------------------------------------------------------------------------------------


def test_it_imports_the_standard_library_only() -> None:
    """No line of the project and no package is needed: the file can be carried away alone."""
    tree = ast.parse(SOURCE.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_it_is_python_3_9_and_short() -> None:
    """An old machine reads it, and so does a person, in an hour."""
    text = SOURCE.read_text("utf-8")
    ast.parse(text, feature_version=(3, 9))
    assert text.count("\n") <= 400


def test_the_text_is_in_the_order_of_the_checks() -> None:
    """`verify` calls the checks in the order in which they are written down."""
    text = SOURCE.read_text("utf-8")
    steps = (
        "read_trust_file(",
        "read_receipt(",
        "read_record(",
        "read_header(",
        "good_signatures(",
        "is_enough(",
        "path_leads(",
    )
    written = [text.index(f"def {step}") for step in steps]
    body = text[text.index("def verify(") :]
    assert written == sorted(written)
    assert [body.index(step) for step in steps] == sorted(body.index(step) for step in steps)


# --- spelling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "01", "+1", "-1", " 1", "1 ", "1_0", "１", "1.0", str(2**63), "9" * 20])
def test_other_spellings_of_numbers_are_refused(text: str) -> None:
    """A number is written in one way; 2**63 - 1 is the largest."""
    assert [decimal("0"), decimal(str(2**63 - 1))] == [0, 2**63 - 1]
    with pytest.raises(RefusedError):
        decimal(text)


@pytest.mark.parametrize(
    "text", ["", "AAA", "AAB=", "AAA= ", "AAA=\n", "AAA-", "A", "====", "AAA=AAA=", "ＡAA=", "AAAA"]
)
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    """Bytes are written in one way, and as many as are asked for."""
    assert base64_bytes("AAA=", 2, 2) == bytes(2)
    with pytest.raises(RefusedError):
        base64_bytes(text, 2, 2)


def test_names() -> None:
    """A name has no `+`, white space or controls, and at most 255 bytes; other letters are free."""
    assert all(map(is_name, ["a", "BROKER/broker-1", "例.example", "n" * 255, "\u200b"]))
    bad = [
        "",
        "n" * 256,
        "例" * 86,
        "\ud800",
        *(f"a{char}b" for char in "+ \t\n\0\x7f\x85\xa0\u1680\u2003\u2028\u3000"),
    ]
    assert not any(map(is_name, bad))


def test_msgpack_is_read_in_its_shortest_forms_only() -> None:
    """Values at the edges of every form are read; each longer form of them is refused."""
    edges: list[Value] = [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1]
    texts: list[Value] = ["", "x" * 31, "x" * 32, b"", b"x" * 255, b"x" * 256]
    kinds, values = msgpack_items(pack([edges, texts]))
    assert kinds == "aa" + "i" * 10 + "a" + "ttt" + "bbb"
    assert values == [2, 10, *edges, 6, b"", b"x" * 31, b"x" * 32, *texts[3:]]
    longer = [
        "cc7f",
        "cd00ff",
        "ce0000ffff",
        "cf00000000ffffffff",
        "cf8000000000000000",
        "d900",
        "dc0000",
        "c5000178",
        "c4",
        "cd01",
    ]
    for spelling in longer:
        with pytest.raises(RefusedError) as caught:
            msgpack_items(bytes.fromhex(spelling))
        assert caught.value.args[0] == 13
    for unknown in ("c0", "c1", "c2", "ca00000000", "d0ff", "ff", "80", "c6"):
        assert "?" in msgpack_items(bytes.fromhex(unknown))[0], "no shape has this kind"


# --- the program -------------------------------------------------------------------------------------------------------


def test_the_report_has_a_line_per_check_and_one_verdict(court: Path) -> None:
    """Every line is Chinese and English; the last one is the verdict."""
    done = run(court / "r.tlog-proof", "--policy", court / "policy.txt", "--digest", DIGEST)
    shown = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown[-1] == "结论 VERDICT: 核验通过 VALID"
    assert all(line.startswith("通过 ok  ") for line in shown[:-1])
    assert [
        word
        for word in (
            "commitment",
            "trust file",
            "receipt",
            "leaf",
            "same",
            "signature",
            "quorum",
            "tree",
            "block",
        )
        if not any(word in line for line in shown)
    ] == []
    assert sha256(TRUST_FILE).hexdigest() in done.stdout


def test_a_failed_check_ends_the_report(court: Path) -> None:
    """After the check that failed come its reason and the verdict with the exit code, and nothing else."""
    done = run(court / "r.tlog-proof", "--policy", court / "policy.txt", "--digest", "ab" * 32)
    assert done.returncode == 10
    *_, reason, verdict = done.stdout.splitlines()
    assert reason == "不符 NO  摘要与回执不符 / the leaf holds another commitment"
    assert verdict == "结论 VERDICT: 核验不通过 NOT VALID (exit code 10)"
    assert "good signature" not in done.stdout


def test_a_mistyped_path_is_no_verdict_about_the_evidence(court: Path) -> None:
    """Nothing was checked, and the last line says just that: it may be copied into a report."""
    done = run(court / "none", "--policy", court / "policy.txt", "--digest", DIGEST)
    assert done.returncode == 4
    assert done.stdout.splitlines()[-1] == "结论 VERDICT: 未核验 NOT CHECKED (exit code 4)"
    assert "NOT VALID" not in done.stdout


def test_the_original_with_and_without_salt(court: Path) -> None:
    """SHA-256 of salt and file when there is a salt, beside the file or named; else of the file."""
    original, salt = court / "a.pdf", court / "a.pdf.salt"
    original.write_bytes(b"content")
    arguments = ("--policy", court / "policy.txt", "--original", original)
    assert f"SHA-256(file) {sha256(b'content').hexdigest()}" in run(court / "r.tlog-proof", *arguments).stdout
    salted = f"SHA-256(salt || file) {sha256(bytes(range(32)) + b'content').hexdigest()}"
    salt.write_bytes(bytes(range(32)))
    assert salted in run(court / "r.tlog-proof", *arguments).stdout
    moved = salt.rename(court / "elsewhere")
    assert salted in run(court / "r.tlog-proof", *arguments, "--salt", moved).stdout
    moved.write_bytes(bytes(33))
    assert run(court / "r.tlog-proof", *arguments, "--salt", moved).returncode == 13


def test_wrong_command_lines_and_missing_files(court: Path) -> None:
    """2 for what was typed wrongly, 4 for a file that is not there."""
    receipt, policy = court / "r.tlog-proof", ("--policy", court / "policy.txt")
    wrong: list[tuple[str | Path, ...]] = [
        (receipt,),
        (receipt, *policy),
        (receipt, *policy, "--digest", "ab"),
        (receipt, *policy, "--digest", ""),
        (receipt, *policy, "--digest", DIGEST, "--original", receipt),
        (receipt, *policy, "--digest", DIGEST, "--salt", receipt),
    ]
    missing: list[tuple[str | Path, ...]] = [
        (court / "none", *policy, "--digest", DIGEST),
        (receipt, "--policy", court / "none", "--digest", DIGEST),
        (receipt, *policy, "--original", court / "none"),
        (court, *policy, "--digest", DIGEST),
    ]
    assert [run(*arguments).returncode for arguments in wrong] == [2] * len(wrong)
    assert [run(*arguments).returncode for arguments in missing] == [4] * len(missing)


def test_a_receipt_without_header_says_nothing_of_a_block() -> None:
    """What a receipt does not prove is not reported."""
    receipt, trust, digest = file(PLAIN, lines(PLAIN))
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_verify, "tell", lambda name, _: told.append(name))
        second_verify.verify(receipt, trust, bytes.fromhex(digest))
    assert not any("block" in str(name) for name in told)
