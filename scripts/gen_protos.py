"""Generates the code of protos/*.proto, and tells whether the checked-in code still belongs to its source.

Why generated code is committed: whoever audits a node reads what runs, and installing needs no compiler. Why an
old generator: code of protobuf 6.31 is accepted by every runtime from there through the next major version, so
the runtimes of several institutions may differ.

Rules it keeps
- The generator lives in a throw-away virtual environment, never in the project's own (its pins would fight).
- protos/CHECKSUMS records the SHA-256 of each source and each generated file. `--check` compares them without a
  network, and, where the generator is at hand, also generates anew and compares byte for byte.

    python -m scripts.gen_protos                   generate (makes the environment in a temporary folder)
    python -m scripts.gen_protos --python PATH     generate with the generator that this interpreter has
    python -m scripts.gen_protos --check           compare only; exit code 1 when something is stale
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKSUMS = "protos/CHECKSUMS"
# Exact, because --check compares bytes. mypy-protobuf writes the .pyi files beside the code.
GENERATOR = ("grpcio-tools==1.76.0", "mypy-protobuf==3.7.0", "types-protobuf==6.32.1.20251105")
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def sources(root: Path) -> list[str]:
    """The .proto files under `root`, as sorted relative names."""
    return sorted(path.relative_to(root).as_posix() for path in (root / "protos").glob("*.proto"))


def outputs(source: str) -> list[str]:
    """The files that one .proto file becomes."""
    return [source.removesuffix(".proto") + suffix for suffix in SUFFIXES]


def checksums(root: Path) -> str:
    """The text of protos/CHECKSUMS as it should be: one line per file, sorted. A missing file is left out."""
    names = [name for source in sources(root) for name in (source, *outputs(source))]
    digests = {
        name: hashlib.sha256((root / name).read_bytes()).hexdigest()
        for name in names
        if (root / name).is_file()
    }
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def stale(root: Path) -> list[str]:
    """What is wrong with the checked-in code under `root`, in words; empty when all of it belongs together."""
    expected = {name for source in sources(root) for name in (source, *outputs(source))}
    findings = [f"{name}: missing" for name in sorted(expected) if not (root / name).is_file()]
    present = {
        path.relative_to(root).as_posix()
        for suffix in SUFFIXES
        for path in (root / "protos").glob(f"*{suffix}")
    }
    findings += [f"{name}: has no .proto file" for name in sorted(present - expected)]
    recorded = (root / CHECKSUMS).read_text("ascii") if (root / CHECKSUMS).is_file() else ""
    lines_now, lines_then = set(checksums(root).splitlines()), set(recorded.splitlines())
    changed = sorted({line.split("  ", 1)[-1] for line in lines_now ^ lines_then})
    return findings + [f"{name}: differs from what {CHECKSUMS} records" for name in changed]


def generate(root: Path, target: Path, python: str) -> None:
    """Write the code for every .proto file of `root` below `target`, with the generator of `python`.

    Raises CalledProcessError when the generator refuses a source.
    """
    plugin = Path(python).parent
    command = [
        *(python, "-m", "grpc_tools.protoc", "--proto_path", str(root)),
        *("--python_out", str(target), "--grpc_python_out", str(target)),
        *("--mypy_out", f"quiet:{target}", "--mypy_grpc_out", f"quiet:{target}"),
        f"--plugin=protoc-gen-mypy={plugin / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugin / 'protoc-gen-mypy_grpc'}",
    ]
    subprocess.run([*command, *sources(root)], cwd=root, check=True)


def regenerated_differences(root: Path, python: str) -> list[str]:
    """Names of generated files that a fresh run of the generator spells otherwise."""
    with tempfile.TemporaryDirectory(prefix="tiezheng-protos-") as folder:
        generate(root, Path(folder), python)
        return [
            f"{name}: generating anew gives other bytes"
            for source in sources(root)
            for name in outputs(source)
            if not (root / name).is_file() or (Path(folder) / name).read_bytes() != (root / name).read_bytes()
        ]


def has_generator(python: str) -> bool:
    """Whether `python` can run exactly the recorded generator."""
    code = "import importlib.metadata as m; print(m.version('grpcio-tools'), m.version('mypy-protobuf'))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    wanted = " ".join(pin.split("==")[1] for pin in GENERATOR[:2])
    return done.returncode == 0 and done.stdout.strip() == wanted


def throwaway_generator(folder: Path) -> str:
    """Make a virtual environment with the generator in `folder`; returns its interpreter. Needs a network."""
    venv.create(folder, with_pip=True, symlinks=True)
    python = str(folder / "bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *GENERATOR], check=True)
    return python


def _write(root: Path, python: str) -> None:
    with tempfile.TemporaryDirectory(prefix="tiezheng-protos-") as folder:
        generate(root, Path(folder), python)
        for source in sources(root):
            for name in outputs(source):
                shutil.copyfile(Path(folder) / name, root / name)
    (root / CHECKSUMS).write_text(checksums(root), "ascii")


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code: 0 all well, 1 something is stale."""
    parser = argparse.ArgumentParser(prog="gen_protos", description="generate or check the code of protos/")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the generator")
    options = parser.parse_args(arguments)
    if options.check:
        findings = stale(ROOT)
        if not findings and has_generator(options.python):
            findings = regenerated_differences(ROOT, options.python)
        for finding in findings:
            print(finding)
        return 1 if findings else 0
    if has_generator(options.python):
        _write(ROOT, options.python)
        return 0
    with tempfile.TemporaryDirectory(prefix="tiezheng-generator-") as folder:
        _write(ROOT, throwaway_generator(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
