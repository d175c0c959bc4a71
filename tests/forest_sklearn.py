# SPDX-License-Identifier: MIT
"""What scikit-learn's forest makes of trials (see agent/forest_trial.h): for each file its AUC,
precision and log loss over seeds, a line a seed. Exit code 77 where scikit-learn isn't installed."""
import sys

try:
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import log_loss, roc_auc_score
except ImportError:
    sys.exit(77)

TREES = 100


def precision(p, top):
    m = len(p) // 10
    last = np.sort(p)[-m]
    over, tied = p > last, p == last
    return (top[over].sum() + top[tied].mean() * (m - over.sum())) / m


def main(seeds, paths):
    for path in paths:
        with open(path, "rb") as file:
            n, rest, d = (int(v) for v in np.fromfile(file, np.uint64, 3))
            x = np.fromfile(file, np.float32, (n + rest) * d).reshape(n + rest, d)
            label = np.fromfile(file, np.uint8, n + rest)
            top = np.fromfile(file, np.uint8, rest)
            weight = np.fromfile(file, np.float64, n)
        for seed in range(seeds):
            forest = RandomForestClassifier(criterion="log_loss", n_estimators=TREES, random_state=seed)
            forest.fit(x[:n], label[:n], sample_weight=weight)
            # Averages of shares differ in their last bits; ours don't.
            p = np.round(forest.predict_proba(x[n:])[:, 1], 6)
            clipped = np.clip(p, 0.5 / TREES, 1 - 0.5 / TREES)
            print(roc_auc_score(label[n:], p), precision(p, top), log_loss(label[n:], clipped))


main(int(sys.argv[1]), sys.argv[2:])
