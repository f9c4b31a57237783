"""Make this Python environment use the working tree: `import edgesnn` and the `edgesnn` command come from here.

Usage: VENV/bin/python tools/use_tree.py
"""

import stat
import sys
import sysconfig
from pathlib import Path

SCRIPT = """\
#!{python}
import sys
from edgesnn.cli.main import main
sys.exit(main())
"""


def main() -> int:
    """Write the path file and the command."""
    tree = Path(__file__).resolve().parent.parent
    Path(sysconfig.get_paths()["purelib"], "edgesnn_tree.pth").write_text(f"{tree}\n", "utf-8")
    command = Path(sys.prefix, "bin", "edgesnn")
    command.write_text(SCRIPT.format(python=sys.executable), "utf-8")
    command.chmod(command.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return 0


if __name__ == "__main__":
    sys.exit(main())
