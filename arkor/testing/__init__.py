"""Tools for testing code that uses Arkor."""
