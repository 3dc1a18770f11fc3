"""Moments in the formats of other tools: a writer for each, and one function that calls them."""
