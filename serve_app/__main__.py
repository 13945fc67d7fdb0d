"""`python -m serve_app` is `tandem`."""

import sys

from serve_app.tools.cli import main

sys.exit(main())
