"""anomalib's PatchCore (Roth et al. 2022) as ONNX, in its own environment: `python benchmarks/patchcore.py FILE SIDE`.

On EfficientNet-Lite0, the features of its strides 8 and 16, and a memory of 2,000 vectors: what it costs does not hang
on what it has learnt, so the weights and the memory are random.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

VECTORS = 2000
LAYERS = ["blocks.2", "blocks.4"]


def main() -> None:
    import onnx
    import torch
    from anomalib.models import Patchcore

    file, side = Path(sys.argv[1]), int(sys.argv[2])
    torch.manual_seed(0)
    patchcore = Patchcore(backbone="efficientnet_lite0", layers=LAYERS, pre_trained=False)
    network = patchcore.model.eval()
    features = network.feature_extractor(torch.rand(1, 3, side, side))
    network.memory_bank = torch.randn(VECTORS, sum(part.shape[1] for part in features.values()))
    with tempfile.TemporaryDirectory() as folder:
        exported = patchcore.to_onnx(export_root=Path(folder), input_size=(side, side))
        onnx.save(onnx.load(exported), file)


if __name__ == "__main__":
    main()
