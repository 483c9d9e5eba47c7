"""`python -m tailer`."""

from tailer.cli.main import main

main()
