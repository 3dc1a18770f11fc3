"""Composed scenes: cut-outs, sounds and backgrounds become clips with exact truth."""
