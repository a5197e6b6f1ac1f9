"""The surrogates of plugins/prerl-zoo: a distribution of its own, which need not be installed to be compared."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent.parent / "plugins" / "prerl-zoo"
sys.path.append(str(FOLDER / "src"))

from prerl_zoo.dro import Dro  # noqa: E402
from prerl_zoo.gmpo import Gmpo  # noqa: E402
from prerl_zoo.luspo import Luspo  # noqa: E402
from prerl_zoo.vespo import Vespo  # noqa: E402

__all__ = ["FOLDER", "Dro", "Gmpo", "Luspo", "Vespo"]
