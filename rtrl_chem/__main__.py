"""`python -m rtrl_chem`, as `accelerate launch -m rtrl_chem` needs it."""

import sys

from rtrl_chem.cli import main

if __name__ == "__main__":
    sys.exit(main())
