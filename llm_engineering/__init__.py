"""LLM Twin: a person's writing in, cited answers in their own words out."""
