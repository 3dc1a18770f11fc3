"""HTML pages and sheets to look at: reports, search results, retrieval."""
