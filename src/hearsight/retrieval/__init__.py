"""Embeddings of clips, and the retrieval benchmark."""
