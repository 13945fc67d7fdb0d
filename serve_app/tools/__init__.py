"""What people run: `tandem run`, `check`, `local`, `doctor`."""
