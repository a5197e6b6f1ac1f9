"""All cases of the peers, each with its counterpart here, or the reason why there is none."""

from collections.abc import Mapping

from tests.components.agreement.like_trl import TRL
from tests.components.agreement.like_verl import VERL
from tests.components.agreement.ours import Ours

CASES: Mapping[str, Ours | str] = {**TRL, **VERL}
