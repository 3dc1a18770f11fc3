"""Metrics, protocols of the papers, and evaluations that make tables."""
