"""The version of the package, and those of what it runs on."""

__version__ = "0.1.0"


def versions() -> str:
    """The versions of the package, of torch and of Python, as pages tell by what they were made."""
    import platform

    import torch

    return f"hearsight {__version__}, torch {torch.__version__}, Python {platform.python_version()}"
