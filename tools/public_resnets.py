"""Test public ResNets on the copies: `python tools/public_resnets.py FOLDER`.

In FOLDER are `resnet20.npz` and `resnet56.npz`, each with the arrays of a file that
github.com/akamaster/pytorch_resnet_cifar10 has published, by their names in PyTorch: of its state dict,
`np.savez(path, **{name: tensor.numpy() for name, tensor in state_dict.items()})`. The images are those of
`$COURSEKIT_DATA`. Writes the record `public-resnets`, of which the chapters say what JPEG copies cost.
"""

import os
import sys
from pathlib import Path

os.environ |= {"COURSEKIT_PROFILE": "full", "COURSEKIT_RECORD": "1"}

import numpy as np

from coursekit import data, pretrained, records, resnet, training

# Test errors by the table of that repository, on the original images.
PUBLISHED_ERROR = {20: 8.27, 56: 6.61}
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of its inputs


def accuracy(depth, weights, images):
    model = pretrained.from_pytorch(resnet.resnet(depth=depth, unit="post_activation"), np.load(weights))
    normalized = (images.x_test - np.float32(MEAN)) / np.float32(DEVIATION)
    return training.accuracy(training.compile_classifier(model), normalized, images.y_test)


def main(folder):
    images = data.load("cifar10")
    measured = {
        f"{depth} layers": {
            "published": round(1 - error / 100, 4),
            "copies": accuracy(depth, folder / f"resnet{depth}.npz", images),
        }
        for depth, error in PUBLISHED_ERROR.items()
    }
    print(measured)
    records.write("public-resnets", measured)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
