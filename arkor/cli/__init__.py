"""The `arkor` command."""
