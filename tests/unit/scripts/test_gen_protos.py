"""Generated code belongs to its source, and whoever changes one of them alone is told."""

import shutil
import sys
from pathlib import Path

import pytest

from scripts import gen_protos

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of protos/."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_checked_in_code_belongs_to_its_source() -> None:
    """What `--check` says of this tree."""
    assert gen_protos.stale(ROOT) == []
    assert gen_protos.main(["--check"]) == 0


def test_every_door_has_all_four_files() -> None:
    """Code and types, messages and services."""
    assert gen_protos.sources(ROOT) == [
        f"protos/{door}.proto" for door in ("admin", "peer", "read", "submit")
    ]
    for source in gen_protos.sources(ROOT):
        assert all((ROOT / name).is_file() for name in gen_protos.outputs(source))


@pytest.mark.parametrize("name", ["protos/peer.proto", "protos/peer_pb2.py", "protos/read_pb2_grpc.pyi"])
def test_a_changed_file_is_named(tree: Path, name: str) -> None:
    """One byte is enough, on either side."""
    assert gen_protos.stale(tree) == []
    with (tree / name).open("a", encoding="utf-8") as file:
        file.write(" ")
    assert gen_protos.stale(tree) == [f"{name}: differs from what protos/CHECKSUMS records"]


def test_missing_and_leftover_files_are_named(tree: Path) -> None:
    """A source without code, and code without a source."""
    (tree / "protos/submit_pb2.pyi").unlink()
    (tree / "protos/old_pb2.py").write_text("", "utf-8")
    (tree / "protos/new.proto").write_text('syntax = "proto3";\n', "utf-8")
    found = gen_protos.stale(tree)
    assert "protos/submit_pb2.pyi: missing" in found
    assert "protos/old_pb2.py: has no .proto file" in found
    assert "protos/new_pb2.py: missing" in found


def test_without_checksums_everything_is_stale(tree: Path) -> None:
    """The record is part of what is checked in."""
    (tree / gen_protos.CHECKSUMS).unlink()
    assert len(gen_protos.stale(tree)) == 4 * 5


def test_the_generator_is_recognised_by_its_exact_version() -> None:
    """Another version would spell other bytes."""
    assert not gen_protos.has_generator(str(ROOT / "no-such-python"))
    if not gen_protos.has_generator(sys.executable):
        pytest.skip("the generator lives in an environment of its own")
    assert gen_protos.regenerated_differences(ROOT, sys.executable) == []


def test_checking_reports_by_exit_code(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 and the findings, a line each."""
    monkeypatch.setattr(gen_protos, "ROOT", tree)
    assert gen_protos.main(["--check"]) == 0
    (tree / "protos/peer_pb2.py").unlink()
    assert gen_protos.main(["--check"]) == 1
    assert "protos/peer_pb2.py: missing" in capsys.readouterr().out
