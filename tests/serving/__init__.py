"""A package, for fixtures of its scope: the browser ends with it."""
