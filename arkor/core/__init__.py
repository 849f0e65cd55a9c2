"""The vocabulary every layer shares: pure values and functions, no I/O."""
