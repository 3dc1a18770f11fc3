"""Weights with the recipe that made them; weights that others released; the shipped ones."""
