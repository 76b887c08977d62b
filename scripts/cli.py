"""`tiezheng`: one program for operators, partners, developers and court experts.

Why: one name to remember, one way to write options, one table of exit codes. Command groups live in modules of their
own (`cmd_*.py`) and are imported only when they are called, so `tiezheng verify` on an expert's laptop needs neither
gRPC nor a database.

Refuses: running under ``python -O`` (assertions are part of the product), secrets on the command line.
"""

import importlib
import sys

import click

from scripts.exit_codes import CommandError, Exit, exit_code_table
from scripts.output import note, report_error, say

# command name -> (module, attribute, one line for the overview)
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "dev": ("scripts.cmd_dev", "dev", "A whole network on this machine: up, down, stop, start, reset, demo."),
    "status": ("scripts.cmd_status", "status", "One table of all nodes: role, height, lag, cosignatures."),
    "submit": ("scripts.cmd_evidence", "submit", "Hand in a file's or a digest's commitment."),
    "proof": ("scripts.cmd_evidence", "proof", "Fetch the receipt of a record."),
    "verify": ("scripts.cmd_verify", "verify", "Check a receipt offline against a trust file."),
    "chain": ("scripts.cmd_chain", "chain", "Look at the ledger itself: fsck."),
    "init": ("scripts.cmd_setup", "init", "Make the data folder of a node or a gateway."),
    "key": ("scripts.cmd_setup", "key", "Make and show keys."),
    "genesis": ("scripts.cmd_setup", "genesis", "Make and show the first block of a chain."),
    "node": ("scripts.cmd_run", "node", "Run a node."),
    "gateway": ("scripts.cmd_run", "gateway", "Run the gateway."),
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names in the order of the table."""
        return [*_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, None when there is no such name."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{module}.{attribute} is not a command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table, importing nothing."""
        rows = [(name, line) for name, (_, _, line) in _COMMANDS.items()]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            rows.append((name, command.get_short_help_str(80) if command else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return f"tiezheng {installed('tiezheng')}"
    except PackageNotFoundError:
        return "tiezheng (not installed)"


def _say_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        say(_version())
        context.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Print the version.",
)
def tiezheng() -> None:
    """Tiezheng 铁证: a ledger that several institutions keep, and proofs of its records that verify offline."""


@tiezheng.command("version")
def version() -> None:
    """Print the program's version."""
    say(_version())


@tiezheng.command("exit-codes")
def exit_codes() -> None:
    """Print what the exit codes mean."""
    say(exit_code_table().rstrip("\n"))


def main() -> None:
    """Entry point of the console script."""
    if not __debug__:
        note("error: tiezheng refuses to run with python -O: its assertions guard the ledger")
        sys.exit(int(Exit.USAGE))
    try:
        ended = tiezheng(prog_name="tiezheng", standalone_mode=False)
    except click.ClickException as error:  # what the parser refuses
        if "--json" in sys.argv:
            report_error(CommandError(Exit.USAGE, error.format_message()), as_json=True)
        else:
            error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        note("interrupted")
        sys.exit(int(Exit.INTERRUPTED))
    sys.exit(ended if isinstance(ended, int) else int(Exit.OK))


if __name__ == "__main__":
    main()
