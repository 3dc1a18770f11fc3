"""The page that is served on this machine: localise, search the library, watch runs."""
