"""Spectrogram, augmentation, encoders and response maps."""
