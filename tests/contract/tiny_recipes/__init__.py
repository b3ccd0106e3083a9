"""Recipes that cost nothing and keep the contract of domain/training.py, for runners to run."""
