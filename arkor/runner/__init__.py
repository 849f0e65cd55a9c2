"""The verbs of a run: start, wait, cancel, resume."""
