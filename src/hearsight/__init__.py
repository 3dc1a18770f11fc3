"""Where in a picture does its sound come from?"""

__version__ = "0.1.0"
