"""One's own videos, sounds and pictures as a library that is searched by sound or picture."""
