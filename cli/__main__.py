"""`python -m mediagen_cli`."""

import sys

from .main import main

sys.exit(main())
