"""`python -m vidseg` does what `vidseg` does."""

from vidseg.cli import main

if __name__ == "__main__":
    main()
