"""Lets `python -m hashtagd` do what the `hashtagd` command does."""

from hashtagd.cli.main import main

if __name__ == "__main__":
    main()
