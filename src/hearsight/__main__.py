"""`python -m hearsight` is the `hearsight` command."""

from hearsight.commands.cli import main

if __name__ == "__main__":
    main()
