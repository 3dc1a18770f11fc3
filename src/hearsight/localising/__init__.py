"""Where a video or picture sounds: moments, and moments painted."""
