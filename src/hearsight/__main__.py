"""`python -m hearsight` is the `hearsight` command."""

from hearsight.cli import main

if __name__ == "__main__":
    main()
