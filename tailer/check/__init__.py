"""`tailer check`: verify everything that `tailer run` needs, without leaving a trace."""
