"""Batches, the step, the loop, and the run folder."""
