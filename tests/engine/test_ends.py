"""A run refuses to sample with a tokenizer that ends no response, also where the plan could not see the tokenizer."""

from pathlib import Path

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.engine.run.session import require_ends
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from tests.compiler.specs import TINY, bent, written


def test_a_tokenizer_without_eos_is_refused_by_a_phase_that_samples_without_stop_strings(tmp_path: Path) -> None:
    phases = compile_spec(written(tmp_path, TINY)).graph.phases
    backend = byte_tokenizer().backend_tokenizer
    endless = Codec(backend, chat_template=None, special={})
    with pytest.raises(EnvironmentUnmet, match=r"defines no EOS.*phase prune") as caught:
        require_ends(phases, endless)
    assert caught.value.exit_code == 3
    require_ends(phases, Codec(backend, chat_template=None, special={"eos_token": "<|im_end|>"}))
    with_stop = written(tmp_path, bent(("max_new_tokens =", 'stop = ["\\n\\n"]\nmax_new_tokens =')))
    require_ends(compile_spec(with_stop).graph.phases, endless)
