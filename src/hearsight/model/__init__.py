"""Spectrograms, augmentation, encoders, response maps, nearest neighbours."""
