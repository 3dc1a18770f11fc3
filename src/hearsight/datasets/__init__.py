"""Where clips and their truth come from, one file per source."""
