"""Checkpoints, released weights converted to them, and the shipped weights."""
