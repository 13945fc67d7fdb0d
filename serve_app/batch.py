"""Where RayJobs written before find `python -m serve_app.batch` (serve_app.tools.offline)."""

import sys

from serve_app.tools.offline import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
