"""Videos, sounds and pictures: read, written, and cut into windows of sound."""
