"""Notes every class that a pickle makes anyone import, in every Python process of the suite: promise G9.

On PYTHONPATH, so that each child process of a test imports this first. Our own processes may send each other pickles
(torch.distributed, multiprocessing); any other one is written to the file PRERL_SPEC_TEST_PICKLES, with the place.
"""

import os
import sys
from types import FrameType

_OWN_PROCESSES = ("/torch/distributed/", "/multiprocessing/", "/vllm/")
_STANDARD = os.path.dirname(os.__file__)


def _places(frame: FrameType | None) -> list[str]:
    found = []
    while frame is not None:
        found.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        frame = frame.f_back
    return found


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event != "pickle.find_class":
        return
    places = _places(sys._getframe(1))
    if any(part in place for place in places for part in _OWN_PROCESSES):
        return
    with open(os.environ["PRERL_SPEC_TEST_PICKLES"], "a", encoding="utf-8") as file:
        file.write(f"{arguments[0]}.{arguments[1]} in {' < '.join(places[:6])}\n")


if "PRERL_SPEC_TEST_PICKLES" in os.environ:
    sys.addaudithook(_watch)
