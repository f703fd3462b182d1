"""Runs the command line, as `python -m rhapsode_command`."""

from rhapsode_command import main

if __name__ == "__main__":
    main()
