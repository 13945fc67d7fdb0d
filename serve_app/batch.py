"""Where RayJobs written before find `python -m serve_app.batch`: it is `tandem batch` now."""

import sys

from serve_app.tools.cli import main

if __name__ == "__main__":
    sys.exit(main(["batch", *sys.argv[1:]]))
