"""Clips (a frame and the sound around it): records, stores on disk, lists, leaks, truth masks."""
