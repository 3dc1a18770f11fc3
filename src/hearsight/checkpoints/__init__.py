"""Checkpoints, released weights converted to them, the shipped weights, and exports."""
