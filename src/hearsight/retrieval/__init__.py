"""Embeddings, exact ranking, and the retrieval benchmark."""
