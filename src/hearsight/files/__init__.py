"""Text that others wrote, folders that one process writes to, files written whole."""
