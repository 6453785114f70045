"""Kills the real engine, its runners and its commands at every point, recovers, and checks what must always hold."""
