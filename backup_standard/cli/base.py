"""What every command is made with: its parser, its exit statuses, its voice."""

from __future__ import annotations

import argparse
from collections.abc import Callable

OK = 0
TROUBLE = 1

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help_text: str,
    text: str,
    trouble: int = TROUBLE,
) -> argparse.ArgumentParser:
    """One command with the function that runs it; ``trouble`` is its exit status where there is something to mend."""
    made = commands.add_parser(
        name, help=help_text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.set_defaults(run=run, trouble=trouble)
    return made


def say(text: str) -> None:
    """Tell the operator."""
    print(text)  # noqa: T201 - this is a command
