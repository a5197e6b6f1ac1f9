"""What a step of Muon costs: torch's, matrix by matrix, and ours, batched over equal shapes.

    OMP_NUM_THREADS=1 python -m benchmarks.muon [--width 96] [--layers 3] [--rounds 15]

CPU seconds of one thread for the hidden matrices of a Qwen3 of that width (the quickstart's as it stands); steps alternate,
medians. The last column says whether the weights are equal, bit for bit, after all steps.
"""

import argparse
import statistics
import time

import torch
from prerl_components.optimizers.batched_muon import BatchedMuon

CLASSES: tuple[type[torch.optim.Muon], ...] = (torch.optim.Muon, BatchedMuon)


def matrices(width: int, layers: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    inner, kv = width * 8 // 3, width // 3
    shapes = [(width, width), (kv, width), (kv, width), (width, width), (inner, width), (inner, width), (width, inner)]
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for _ in range(layers) for shape in shapes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    parameters = [matrices(chosen.width, chosen.layers) for _ in CLASSES]
    optimizers = [cls(own, lr=0.02, momentum=0.95) for cls, own in zip(CLASSES, parameters, strict=True)]
    seconds: list[list[float]] = [[] for _ in CLASSES]
    generator = torch.Generator().manual_seed(1)
    for counted in range(chosen.rounds + 1):
        gradients = [torch.randn(p.shape, generator=generator) for p in parameters[0]]
        for own, optimizer, spent in zip(parameters, optimizers, seconds, strict=True):
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient.clone()
            begin = time.process_time()
            optimizer.step()
            spent += [time.process_time() - begin] if counted else []
    equal = all(torch.equal(one, other) for one, other in zip(*parameters, strict=True))
    print("| step | CPU ms | equal |\n|---|---|---|")
    for cls, spent in zip(CLASSES, seconds, strict=True):
        print(f"| {cls.__name__} | {1e3 * statistics.median(spent):.2f} | {equal} |")


if __name__ == "__main__":
    main()
