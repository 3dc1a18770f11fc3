"""Data sets of the field, and the user's own videos, as clips: one file per source."""
