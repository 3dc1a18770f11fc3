"""Clips: a frame and the sound around it, on disk, in lists, and compared for leaks."""
