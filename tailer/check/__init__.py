"""Looks at everything that a service will need, before it is needed, and leaves no trace."""
