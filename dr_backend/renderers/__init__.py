"""Renderers: one file each, found through ``table``."""
