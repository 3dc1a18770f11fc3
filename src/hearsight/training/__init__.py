"""Batches, the step, the loop, the run folder, and its trackers."""
