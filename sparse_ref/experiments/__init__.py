"""Configured runs: one training from a configuration, comparisons of methods, their files."""
