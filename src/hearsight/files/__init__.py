"""Lists and JSON read safely, output folders locked, output files written whole, tables."""
