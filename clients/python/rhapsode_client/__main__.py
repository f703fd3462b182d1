"""Runs the command line, as `python -m rhapsode_client`."""

from rhapsode_client.cli.main import main

if __name__ == "__main__":
    main()
