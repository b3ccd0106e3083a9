"""The REST API: HTTP in, one use case, JSON out. Nothing here decides what an answer is."""
