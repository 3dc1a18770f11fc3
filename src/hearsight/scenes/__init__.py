"""Composed scenes: clips with exact boxes and masks, from cut-outs, recordings, backgrounds."""
