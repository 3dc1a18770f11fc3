"""One's own videos as a library that is searched by sound or picture."""
