"""One file per paper; each function in it returns a complete `Recipe`."""
