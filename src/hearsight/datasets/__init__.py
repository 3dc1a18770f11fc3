"""The field's data sets and one's own videos as clips, one file per source."""
