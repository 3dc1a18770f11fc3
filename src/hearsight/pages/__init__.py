"""HTML pages and contact sheets: reports, search results, retrieval."""
