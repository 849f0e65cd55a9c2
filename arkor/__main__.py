"""`python -m arkor` is the `arkor` command."""

from arkor.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
