"""``python -m backup_standard.cli``."""

import sys

from backup_standard.cli import main

sys.exit(main())
