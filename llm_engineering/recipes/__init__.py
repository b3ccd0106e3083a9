"""Recipes: linear scripts that train. A JSON job goes in, a folder with a result comes out."""
