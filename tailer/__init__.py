"""Follows the logs of SAP AI Core without losing a line."""

__version__ = "0.1.0"
