"""The `hearsight` program, also as `python -m hearsight`."""

import sys

from hearsight.errors import INTERRUPTED


def main() -> None:
    """Run the command line; a Ctrl-C while its commands are imported leaves no traceback."""
    try:
        from hearsight.commands.cli import main as run_commands
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run_commands()


if __name__ == "__main__":
    main()
