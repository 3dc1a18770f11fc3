"""Videos, sounds and pictures: decoded, written, and cut into windows of sound."""
