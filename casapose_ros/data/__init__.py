"""Meshes, object sets, rendering and data sets: what the network learns from."""
