"""Lists and JSON read safely; tables, locked folders, and output files written whole."""
