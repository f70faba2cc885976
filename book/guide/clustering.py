"""Clustering, neighbours, statistics, UMAP."""

from __future__ import annotations

import numpy as np

from .row import Seen, error_of, row

TABLE = "clustering"


@row(
    TABLE,
    "NMI where everything is one cluster, against one class",
    libraries="torchmetrics scikit-learn",
    expect="The same number in both libraries.",
    happens="scikit-learn: {sklearn:.0f}. torchmetrics: {torchmetrics:.0f}. Two identical "
    "labellings with one value each are perfect in the first and worthless in the second.",
    cost="A collapsed encoder on a subset with one class scores 1 or 0, by the library. Means over "
    "subsets move by a tenth for each such subset.",
    instead="[[metrics.nmi]] is scikit-learn's. Report the number of clusters beside it.",
    holds=lambda seen: seen["sklearn"] == 1 and seen["torchmetrics"] == 0,
)
def nmi_of_single_clusters() -> Seen:
    import torch
    from sklearn.metrics import normalized_mutual_info_score
    from torchmetrics.functional.clustering import normalized_mutual_info_score as of_torchmetrics

    zeros = np.zeros(8, dtype=int)
    return {
        "sklearn": float(normalized_mutual_info_score(zeros, zeros)),
        "torchmetrics": float(of_torchmetrics(torch.zeros(8).long(), torch.zeros(8).long())),
    }


@row(
    TABLE,
    "Davies-Bouldin index of a collapsed clustering",
    libraries="scikit-learn",
    expect="Bad (large), or an error.",
    happens="{score:.1f}, **the best there is**: two clusters of rows with one common centre. A "
    "good clustering of two far blobs scores {blobs:.2f}.",
    cost="Choosing K or a checkpoint by this index chooses the collapsed one.",
    instead="[[metrics.cluster_accuracy]] where there are labels; else look at several "
    "indices, and at [[metrics.rankme]].",
    holds=lambda seen: seen["score"] == 0 < seen["blobs"],
)
def davies_bouldin_at_collapse() -> Seen:
    from sklearn.metrics import davies_bouldin_score

    draw = np.random.default_rng(0)
    labels = np.arange(40) % 2
    blobs = draw.normal(size=(40, 4)) + 20 * labels[:, None]
    return {
        "score": float(davies_bouldin_score(np.ones((40, 4)), labels)),
        "blobs": float(davies_bouldin_score(blobs, labels)),
    }


@row(
    TABLE,
    "`KMeans.predict` on rows of another dtype",
    libraries="scikit-learn",
    expect="The rows are converted, as `fit` and other estimators do.",
    happens="Fitted on float64 and asked for float32: {down}, about a buffer and its dtype. Fitted "
    "on float32 and asked for float64: {up}.",
    cost="Features that a file keeps as float32 end a script that clustered them as float64, an "
    "hour in and with words about buffers.",
    instead="[[metrics.cluster]] takes tensors of any float dtype.",
    holds=lambda seen: seen["down"] == "ValueError",
)
def kmeans_predict_in_another_dtype() -> Seen:
    from sklearn.cluster import KMeans

    rows = np.random.default_rng(0).normal(size=(60, 8))
    double, single = (KMeans(4, n_init=1).fit(rows.astype(kind)) for kind in ("f8", "f4"))
    return {
        "down": error_of(lambda: double.predict(rows.astype("f4"))),
        "up": error_of(lambda: single.predict(rows)),
    }


@row(
    TABLE,
    "k-means on fewer different points than clusters",
    libraries="scikit-learn",
    expect="An error.",
    happens="A ConvergenceWarning, {centres} centres and {labels} labels in use.",
    cost="Cluster accuracy of a collapsed encoder is computed over clusters that are empty; with "
    "warnings off nothing is said.",
    instead="[[metrics.cluster_accuracy]] accepts fewer clusters and counts the missing as wrong.",
    holds=lambda seen: seen["labels"] < seen["centres"],
)
def kmeans_with_too_few_points() -> Seen:
    from sklearn.cluster import KMeans

    rows = np.repeat(np.eye(3), 20, axis=0)
    fitted = KMeans(10, n_init=1, random_state=0).fit(rows)
    return {"centres": len(fitted.cluster_centers_), "labels": len(set(fitted.labels_.tolist()))}


@row(
    TABLE,
    "How many rows does faiss's k-means look at?",
    libraries="faiss-cpu",
    expect="All of them, as scikit-learn.",
    happens="At most 256 for each centroid: with one centroid, {used:,} of {rows:,}. The rest "
    "is dropped at random before the first step; `max_points_per_centroid` raises it. It starts "
    "once, from random rows.",
    cost="Accuracies of the two libraries differ on the same features, and the faiss one has a "
    "larger spread over seeds.",
    instead="[[metrics.cluster]] uses all rows and the best of ten starts.",
    holds=lambda seen: seen["used"] == 256 < seen["rows"],
)
def rows_that_faiss_kmeans_uses() -> Seen:
    import faiss

    # One centroid c and rows at -1 and 1: the sum of squares over n rows is n (1 - c^2).
    rows = np.where(np.arange(6_000) % 2, 1, -1).astype(np.float32)[:, None]
    kmeans = faiss.Kmeans(1, 1, niter=2, seed=1)
    kmeans.train(rows)
    used = kmeans.obj[-1] / (1 - float(kmeans.centroids[0, 0]) ** 2)
    return {"used": round(float(used)), "rows": len(rows)}


@row(
    TABLE,
    "Ask faiss for more neighbours than there are rows",
    libraries="faiss-cpu",
    expect="An error, or fewer columns.",
    happens="The missing places hold index {index}, and numpy reads `labels[-1]`: the **last "
    "row's label** votes. Of 10 neighbours of 6 rows, {padded} are such.",
    cost="kNN accuracy on a small bank favours the class that comes last.",
    instead="[[metrics.knn_accuracy]] refuses a k larger than the bank.",
    holds=lambda seen: seen["index"] == -1 and seen["padded"] == 4,
)
def faiss_pads_with_minus_one() -> Seen:
    import faiss

    index = faiss.IndexFlatL2(4)
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    index.add(rows)
    _, found = index.search(rows[:1], 10)
    return {"index": int(found[0, -1]), "padded": int((found == -1).sum())}


@row(
    TABLE,
    "Ties in faiss's inner-product search",
    libraries="faiss-cpu",
    expect="The order of the rows, whatever k.",
    happens="Five equal rows: k = 1 gives [{one}], k = 3 gives [{three}]. The nearest neighbour is "
    "not the first of the three nearest.",
    cost="Collapsed or quantised features tie often; kNN(1) and kNN(3) then vote from other rows, "
    "and on sorted labels the difference looks like an effect.",
    instead="No kNN is to be trusted on tied rows, ours neither: look at [[metrics.rankme]] first.",
    holds=lambda seen: seen["one"] != seen["three"].split(" ")[0],
)
def ties_in_faiss() -> Seen:
    import faiss

    index = faiss.IndexFlatIP(4)
    rows = np.ones((5, 4), dtype=np.float32)
    index.add(rows)
    return {
        name: " ".join(map(str, index.search(rows[:1], k)[1][0].tolist()))
        for name, k in {"one": 1, "three": 3}.items()
    }


@row(
    TABLE,
    "Query the set itself in pytorch-metric-learning's `AccuracyCalculator`",
    libraries="pytorch-metric-learning faiss-cpu",
    expect="A row is not its own neighbour.",
    happens="precision@1 of random rows in 10 classes is **{given:.2f}** when the same tensors are "
    "passed as query and reference, and {left_out:.2f} without a reference: then it leaves the row "
    "itself out.",
    cost="A perfect score for an untrained network. It falls only when the two sets differ.",
    instead="[[metrics.knn_accuracy]] takes train and test rows as two sets.",
    holds=lambda seen: seen["given"] == 1 and seen["left_out"] < 0.4,
)
def accuracy_calculator_finds_itself() -> Seen:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    rows, labels = torch.randn(200, 16), torch.arange(200) % 10
    calculator = AccuracyCalculator(include=("precision_at_1",), device=torch.device("cpu"))
    given = calculator.get_accuracy(rows, labels, rows, labels)
    left_out = calculator.get_accuracy(rows, labels)
    return {
        "given": float(given["precision_at_1"]),
        "left_out": float(left_out["precision_at_1"]),
    }


@row(
    TABLE,
    "`kneighbors()` and `kneighbors(X)`",
    libraries="scikit-learn",
    expect="The same table.",
    happens="Without an argument a row is not its own neighbour (nearest at {without:.2f}); given "
    "the same rows it is (nearest at {given:.2f}), so k neighbours are k − 1.",
    cost="A kNN score on the training set is too high by the row's own vote.",
    instead="[[metrics.nearest_neighbours]], with train and test rows that differ.",
    holds=lambda seen: seen["given"] == 0 < seen["without"],
)
def kneighbors_with_and_without_rows() -> Seen:
    from sklearn.neighbors import NearestNeighbors

    rows = np.random.default_rng(0).normal(size=(50, 4))
    index = NearestNeighbors(n_neighbors=3).fit(rows)
    return {
        "without": float(index.kneighbors()[0][:, 0].mean()),
        "given": float(index.kneighbors(rows)[0][:, 0].mean()),
    }


@row(
    TABLE,
    "torchmetrics' cosine similarity: what it reduces to",
    libraries="torchmetrics",
    expect="The mean over the pairs, between −1 and 1.",
    happens="`cosine_similarity` of 60 equal pairs is **{total:.0f}**: the default reduction is "
    "the sum. A pair of zero rows makes it {zero}.",
    cost="A similarity that grows with the batch, and one dead row that turns the epoch into NaN.",
    instead="[[metrics.dot_product_similarity]] gives means for positive and negative pairs.",
    holds=lambda seen: seen["total"] > 59 and seen["zero"] == "nan",
)
def cosine_similarity_in_torchmetrics() -> Seen:
    import torch
    from torchmetrics.functional import cosine_similarity

    rows = torch.randn(60, 8)
    total = float(cosine_similarity(rows, rows))
    rows[0] = 0
    return {"total": total, "zero": str(float(cosine_similarity(rows, rows)))}


@row(
    TABLE,
    "One missing p-value in a correction for many tests",
    libraries="statsmodels",
    expect="It is left out.",
    happens="Benjamini-Hochberg: {bad} of {all} corrected values are NaN, yet {rejected} test is "
    "marked as rejected. Holm counts the missing one as a test and corrects the "
    "others: {holm:.3f} for 0.01.",
    cost="One cell that did not run wipes out every corrected value, or makes all other tests "
    "weaker.",
    instead="Drop what was not measured before you correct, and say how many tests are left.",
    holds=lambda seen: seen["bad"] == seen["all"] and seen["holm"] == 0.03,
)
def missing_p_value() -> Seen:
    from statsmodels.stats.multitest import multipletests

    values = [0.01, np.nan, 0.04]
    rejected, corrected, *_ = multipletests(values, method="fdr_bh")
    return {
        "bad": int(np.isnan(corrected).sum()),
        "all": len(values),
        "rejected": int(rejected.sum()),
        "holm": round(float(multipletests(values, method="holm")[1][0]), 6),
    }


@row(
    TABLE,
    "The smallest p-value that few seeds can reach",
    libraries="scipy",
    expect="Small enough: all pairs point the same way.",
    happens="Wilcoxon with 5 seeds: {five:.4f}; with 6: {six:.4f}. The exact sign-flip test has "
    "the same floor, two over the number of sign patterns.",
    cost="With 5 paired seeds no effect, however large, can reach 0.05.",
    instead="Plan 6 seeds or more, and correct for the number of contrasts on top: "
    "[chapter 10](10-verdicts.html).",
    holds=lambda seen: seen["five"] == 0.0625 and seen["six"] == 0.03125,
)
def smallest_p_value() -> Seen:
    from scipy.stats import wilcoxon

    return {
        "five": float(wilcoxon(np.arange(1.0, 6.0)).pvalue),
        "six": float(wilcoxon(np.arange(1.0, 7.0)).pvalue),
    }


@row(
    TABLE,
    "A bootstrap interval of equal values",
    libraries="scipy",
    expect="A point: from the value to itself.",
    happens="The default BCa method gives ({low}, {high}) and a warning; `percentile` gives "
    "({percentile:.2f}, {percentile:.2f}).",
    cost="A metric at its ceiling in all seeds loses its error bar, and a figure drops the point "
    "without a word.",
    instead="Draw the point and say that all seeds agree.",
    holds=lambda seen: seen["low"] == "nan" and seen["percentile"] == 0.5,
)
def bootstrap_of_equal_values() -> Seen:
    from scipy.stats import bootstrap

    sample = (np.full(8, 0.5),)
    draw = np.random.default_rng(0)
    default = bootstrap(sample, np.mean, rng=draw).confidence_interval
    percentile = bootstrap(sample, np.mean, method="percentile", rng=draw).confidence_interval
    return {
        "low": str(float(default.low)),
        "high": str(float(default.high)),
        "percentile": float(percentile.low),
    }


def groups_seen(points: np.ndarray, labels: np.ndarray) -> float:
    """The share of nearest neighbours in a map that carry the row's own label."""
    from sklearn.neighbors import KNeighborsClassifier

    half = np.random.default_rng(0).permutation(len(points))
    fit, ask = half[::2], half[1::2]
    model = KNeighborsClassifier(10).fit(points[fit], labels[fit])
    return float(model.score(points[ask], labels[ask]))


@row(
    TABLE,
    "UMAP of collapsed rows that lie in label order",
    libraries="umap-learn",
    expect="One cloud: there is nothing to see in noise of 1e-9.",
    happens="A kNN on the map names the block of the rows with {ordered:.2f} in label order and "
    "{shuffled:.2f} after shuffling; chance is 0.25. Ties are broken by the row's place.",
    cost="A collapsed encoder draws a picture with classes, since test images often lie in class "
    "order.",
    instead="Shuffle the rows before fitting, and put the map back in order.",
    holds=lambda seen: seen["ordered"] > seen["shuffled"] + 0.15,
    slow=True,
)
def umap_of_rows_in_label_order() -> Seen:
    import umap

    draw = np.random.default_rng(0)
    rows = (1 + 1e-9 * draw.normal(size=(600, 16))).astype(np.float32)
    labels, order = np.arange(600) // 150, draw.permutation(600)
    maps = [umap.UMAP(random_state=0).fit_transform(chosen) for chosen in (rows, rows[order])]
    return {
        "ordered": groups_seen(maps[0], labels),
        "shuffled": groups_seen(maps[1], labels[order]),
    }


@row(
    TABLE,
    "`UMAP.fit_transform(X, y)` in a pipeline",
    libraries="umap-learn",
    expect="`y` is ignored, as in PCA.",
    happens="`y` shapes the map. Pure noise with **random** labels in 4 groups: a kNN on the map "
    "finds the labels with {given:.2f}; without `y` with {without:.2f} (chance 0.25).",
    cost="Separation in the figure is what you put in. scikit-learn pipelines pass `y` by "
    "themselves.",
    instead="Call `fit_transform(X)`. A map is an illustration; the numbers come from "
    "[[metrics.knn_accuracy]].",
    holds=lambda seen: seen["given"] > 0.8 and seen["without"] < 0.4,
    slow=True,
)
def umap_takes_labels() -> Seen:
    import umap

    draw = np.random.default_rng(0)
    rows, labels = draw.normal(size=(400, 16)), draw.integers(0, 4, 400)
    return {
        "given": groups_seen(umap.UMAP(random_state=0).fit_transform(rows, labels), labels),
        "without": groups_seen(umap.UMAP(random_state=0).fit_transform(rows), labels),
    }


@row(
    TABLE,
    "`UMAP.transform` of the rows that were fitted",
    libraries="umap-learn",
    expect="Places near those of the fit, or exactly those.",
    happens="Exactly those ({same:.1f} apart) if the array is equal to the last bit. Leave out one "
    "row and the others move by up to {moved:.1f} on a map {width:.0f} wide.",
    cost="A test that transforms the training rows proves nothing about new ones.",
    instead="Embed all that you show together, once.",
    holds=lambda seen: seen["same"] == 0 < seen["moved"],
    slow=True,
)
def umap_transform_of_fitted_rows() -> Seen:
    import umap

    rows = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    model = umap.UMAP(random_state=0)
    places = model.fit_transform(rows)
    return {
        "same": float(np.abs(model.transform(rows) - places).max()),
        "moved": float(np.abs(model.transform(rows[:-1]) - places[:-1]).max()),
        "width": float(np.ptp(places, axis=0).max()),
    }


@row(
    TABLE,
    "Your own starting positions in UMAP",
    libraries="umap-learn",
    expect="The optimisation starts where you say.",
    happens="Each axis is stretched to 0 … 10 first: after no epochs a start within 0 … 1 by 0 … "
    "0.01 has become {width:.0f} by {height:.0f}.",
    cost="A start by principal components loses their ratio, and an animation from one map to the "
    "next jumps in its first frame.",
    instead="Scale a start yourself to 0 … 10, and read distances of no map as numbers.",
    holds=lambda seen: seen["width"] > 9 and seen["height"] > 9,
    slow=True,
)
def umap_stretches_its_start() -> Seen:
    import umap

    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 8)).astype(np.float32)
    start = draw.random((200, 2)).astype(np.float32) * [1, 0.01]
    # No epochs at all: what comes out is the start as the library has taken it.
    places = umap.UMAP(init=start, n_epochs=0, random_state=0).fit_transform(rows)
    width, height = np.ptp(places, axis=0)
    return {"width": float(width), "height": float(height)}


@row(
    TABLE,
    "Normalise float16 features with scikit-learn",
    libraries="scikit-learn",
    expect="Unit rows, with three digits.",
    happens="Rows of 32 values of 60 come out with norm **{half:.0f}**; in float32 with "
    "{full:.0f}. The sum of squares passes 65,504, the largest float16.",
    cost="Stored features of an encoder become zero rows, and ties decide every kNN.",
    instead="Convert to float32 first. [[metrics.knn_accuracy]] and [[metrics.cluster]] "
    "normalise for you.",
    holds=lambda seen: seen["half"] == 0 and seen["full"] > 0.99,
)
def normalize_float16_rows() -> Seen:
    from sklearn.preprocessing import normalize

    rows = np.full((2, 32), 60, dtype=np.float16)
    return {
        "half": float(np.linalg.norm(normalize(rows)[0].astype(float))),
        "full": float(np.linalg.norm(normalize(rows.astype(np.float32))[0])),
    }


@row(
    TABLE,
    "lightly's `knn_predict` on features as they come",
    libraries="lightly",
    expect="It normalises: the vote is by cosine similarity at temperature 0.1.",
    happens="It takes raw dot products, and their exponentials overflow. Ten well separated "
    "classes, features of length 20: accuracy **{given:.2f}**; normalised first, {unit:.2f}.",
    cost="A good encoder scores at chance, and a change of the norm layer that changes the length "
    "of features looks like a change of their quality.",
    instead="[[metrics.knn_accuracy]] normalises both sides.",
    holds=lambda seen: seen["given"] < 0.3 and seen["unit"] > 0.95,
)
def knn_predict_of_lightly() -> Seen:
    import torch
    from lightly.utils.benchmarking import knn_predict

    labels = torch.arange(100) % 10
    rows = torch.randn(10, 16)[labels] + 0.3 * torch.randn(100, 16)

    def accuracy(features: torch.Tensor) -> float:
        ranked = knn_predict(features, features.T, labels, num_classes=10, knn_k=20, knn_t=0.1)
        return float((ranked[:, 0] == labels).float().mean())

    return {
        "given": accuracy(5 * rows),
        "unit": accuracy(torch.nn.functional.normalize(rows, dim=1)),
    }


@row(
    TABLE,
    "The Dunn index of torchmetrics",
    libraries="torchmetrics",
    expect="The textbook's: smallest distance between clusters over the largest diameter.",
    happens="Distances of centroids instead. For points 0, 4 and 10, 14 it is {seen:.1f}; by the "
    "definition 1.5.",
    cost="The index hardly sees clusters that touch, and a value beside one from a paper means "
    "nothing.",
    instead="[[metrics.cluster_accuracy]] where there are labels.",
    holds=lambda seen: abs(seen["seen"] - 5) < 1e-6,
)
def dunn_index_of_torchmetrics() -> Seen:
    import torch
    from torchmetrics.functional.clustering import dunn_index

    points = torch.tensor([[0.0], [4.0], [10.0], [14.0]])
    return {"seen": float(dunn_index(points, torch.tensor([0, 0, 1, 1])))}


@row(
    TABLE,
    "Calinski-Harabasz score of a perfect clustering",
    libraries="scikit-learn",
    expect="Infinity, or the largest value of all.",
    happens="{perfect:.0f}, next to the worst. With noise of 0.001 on the same clusters: "
    "{noisy:.0e}.",
    cost="An encoder that maps every class onto one point (neural collapse) looks like chance.",
    instead="[[metrics.cluster_accuracy]] or [[metrics.nmi]]; use indices without labels only for "
    "features that spread.",
    holds=lambda seen: seen["perfect"] == 1 and seen["noisy"] > 1e6,
)
def calinski_harabasz_of_perfect_clusters() -> Seen:
    from sklearn.metrics import calinski_harabasz_score

    rows, clusters = np.repeat([[0.0, 0.0], [5.0, 5.0]], 10, axis=0), np.arange(20) // 10
    noise = 1e-3 * np.random.default_rng(0).normal(size=rows.shape)
    perfect, noisy = (calinski_harabasz_score(x, clusters) for x in (rows, rows + noise))
    return {"perfect": float(perfect), "noisy": float(noisy)}


@row(
    TABLE,
    "Two-stage corrections for many tests",
    libraries="statsmodels",
    expect="A corrected p-value is at least as large as the raw one.",
    happens="`fdr_tsbh` turns 0.80 into {strict:.2f} at level 0.05 and into {loose:.2f} at level "
    "0.2: the level is part of the number. `fdr_bh` leaves 0.80.",
    cost="Corrected values that were computed at one level and read at another reject too much.",
    instead="Holm or `fdr_bh`, as in [chapter 10](10-verdicts.html), or read the booleans only.",
    holds=lambda seen: seen["loose"] < seen["strict"] < 0.8,
)
def two_stage_corrections() -> Seen:
    from statsmodels.stats.multitest import multipletests

    values = [0.001, 0.01, 0.02, 0.04, 0.3, 0.8]
    strict, loose = (multipletests(values, level, "fdr_tsbh")[1][-1] for level in (0.05, 0.2))
    return {"strict": float(strict), "loose": float(loose)}


@row(
    TABLE,
    "`UMAP.transform` of new rows, one by one or together",
    libraries="umap-learn",
    expect="The same places: only the fitted rows matter.",
    happens="Of 40 new rows {moved} land more than 1 away, on a group {width:.0f} wide, when each "
    "is transformed alone; the same call twice gives the same places.",
    cost="A reader's own image, added to a map of the test set, lands by the company it came in.",
    instead="Transform in one call, or read neighbours off the features: "
    "[[metrics.nearest_neighbours]].",
    holds=lambda seen: seen["moved"] >= 3,
    slow=True,
)
def umap_transform_alone_or_together() -> Seen:
    import umap

    draw = np.random.default_rng(0)
    rows = draw.normal(size=(300, 16)).astype(np.float32)
    new = np.random.default_rng(1).normal(size=(40, 16)).astype(np.float32)
    rows[:150] += 6
    model = umap.UMAP(random_state=0).fit(rows)
    together = model.transform(new)
    alone = np.vstack([model.transform(row[None]) for row in new])
    return {
        "moved": int((np.linalg.norm(together - alone, axis=1) > 1).sum()),
        "width": float(np.ptp(model.embedding_[:150, 0])),
    }


@row(
    TABLE,
    "SciPy's distance between two rows of bytes",
    libraries="scipy",
    expect="`euclidean(u, v)` is what `cdist` finds for the same two rows.",
    happens="{alone:.0f} alone, {table:.0f} by `cdist`: differences of uint8 wrap at 256, so a "
    "pixel of 10 is 246 away from one of 20, and 10 the other way round.",
    cost="Neighbours of raw pixels, found pair by pair, are no neighbours.",
    instead="Turn pixels into floats first, or use [[metrics.knn_accuracy]], which takes no bytes.",
    holds=lambda seen: seen["alone"] > seen["table"] + 50,
)
def distances_of_bytes() -> Seen:
    from scipy.spatial import distance

    first, second = np.random.default_rng(0).integers(0, 256, (2, 10)).astype(np.uint8)
    return {
        "alone": float(distance.euclidean(first, second)),
        "table": float(distance.cdist([first], [second])[0, 0]),
    }


@row(
    TABLE,
    "Accuracy in torchmetrics, by two names",
    libraries="torchmetrics",
    expect='`Accuracy(task="multiclass")` and `MulticlassAccuracy` are one number.',
    happens="Always saying the first class scores {short:.2f} by the first name and {long:.2f} by "
    "the second, on nine rows of it for one of another: one averages over rows, the other over "
    "classes.",
    cost="A probe on unequal classes gains or loses tens of points by the name that was imported.",
    instead="Pass `average=`. [[metrics.linear_probe]] averages over rows.",
    holds=lambda seen: seen["short"] > 0.85 and abs(seen["long"] - 0.5) < 1e-6,
)
def accuracy_by_two_names() -> Seen:
    import torch
    from torchmetrics import Accuracy
    from torchmetrics.classification import MulticlassAccuracy

    truth, said = torch.tensor([0] * 90 + [1] * 10), torch.zeros(100, dtype=torch.long)
    return {
        "short": float(Accuracy(task="multiclass", num_classes=2)(said, truth)),
        "long": float(MulticlassAccuracy(num_classes=2)(said, truth)),
    }


@row(
    TABLE,
    "Fowlkes-Mallows score of a labelling with itself",
    libraries="scikit-learn",
    expect="1, as the adjusted Rand index and NMI have it.",
    happens="{score:.0f} where each row is a cluster of its own; adjusted Rand index {rand:.0f}.",
    cost="With many small clusters a perfect match scores as the worst.",
    instead="[[metrics.nmi]], [[metrics.ari]] or [[metrics.cluster_accuracy]].",
    holds=lambda seen: seen["score"] == 0 and seen["rand"] == 1,
)
def fowlkes_mallows_of_equal_labels() -> Seen:
    from sklearn import metrics

    alone = np.arange(6)
    return {
        "score": float(metrics.fowlkes_mallows_score(alone, alone)),
        "rand": float(metrics.adjusted_rand_score(alone, alone)),
    }


@row(
    TABLE,
    "AUROC of cosine similarities with torchmetrics, in several batches",
    libraries="torchmetrics",
    expect="It is about the order of the scores, so cutting them into batches changes nothing.",
    happens="One batch: {whole:.2f}. The same pairs in two: {cut:.2f}. A batch with a value below "
    "0 is taken for logits and put through a sigmoid, another is left; then both are sorted "
    "together.",
    cost="The score depends on the batch size; positive pairs that lie above all others lose.",
    instead="One update with all pairs, or scores in [0, 1], such as (1 + cosine) / 2.",
    holds=lambda seen: seen["whole"] == 1 and seen["cut"] < 0.9,
)
def logits_are_told_by_the_batch() -> Seen:
    import torch
    from torchmetrics.classification import BinaryAUROC

    cosines = torch.tensor([0.5, 0.4, 0.2, 0.1, 0.5, 0.4, 0.2, -0.1])
    positive = torch.tensor([1, 1, 0, 0] * 2)
    whole, cut = BinaryAUROC(), BinaryAUROC()
    whole.update(cosines, positive)
    for part in (slice(0, 4), slice(4, 8)):
        cut.update(cosines[part], positive[part])
    return {"whole": float(whole.compute()), "cut": float(cut.compute())}


@row(
    TABLE,
    "Look for duplicates with faiss's `range_search` and radius 0",
    libraries="faiss-cpu",
    expect="Equal rows are found: the search takes all within the radius.",
    happens="Of {equal} equal rows {found} are found: the comparison is **strict**. Within 1, a "
    "row at a distance of 1 is left out, too.",
    cost="A data set with duplicates, or with test images among the training images, passes as "
    "clean.",
    instead="A radius a little above 0.",
    holds=lambda seen: seen["found"] == 0 < seen["equal"],
)
def range_search_leaves_out_its_edge() -> Seen:
    import faiss

    rows = np.ones((2, 4), dtype=np.float32)
    index = faiss.IndexFlatL2(4)
    index.add(rows)
    return {"equal": len(rows), "found": len(index.range_search(rows[:1], 0.0)[2])}


@row(
    TABLE,
    "Top-1 and top-2 accuracy in one `MetricCollection` of torchmetrics",
    libraries="torchmetrics",
    expect="Each metric has the value that it has alone.",
    happens="Top-2 accuracy: {together:.2f} in a collection with top-1, {alone:.2f} alone. Metrics "
    "whose counts are equal after the first batch share them from then on, and here the first "
    "batch was all right.",
    cost="The value depends on the order of the batches. An evaluation whose first batch is small "
    "or easy reports top-1 accuracy twice.",
    instead="`MetricCollection(..., compute_groups=False)`.",
    holds=lambda seen: seen["together"] == seen["first"] < seen["alone"] == seen["apart"],
)
def metrics_share_counts_in_a_collection() -> Seen:
    import torch
    from torchmetrics import MetricCollection
    from torchmetrics.classification import MulticlassAccuracy

    easy = 9 * torch.eye(5), torch.arange(5)
    rest = torch.randn(100, 5), torch.randint(5, (100,))

    def values(tops: tuple[int, ...], groups: bool) -> dict[str, float]:
        asked = {f"top-{k}": MulticlassAccuracy(5, top_k=k) for k in tops}
        collection = MetricCollection(asked, compute_groups=groups)
        for batch in (easy, rest):
            collection.update(*batch)
        return {name: float(value) for name, value in collection.compute().items()}

    both = values((1, 2), True)
    return {
        "first": both["top-1"],
        "together": both["top-2"],
        "apart": values((1, 2), False)["top-2"],
        "alone": values((2,), True)["top-2"],
    }


@row(
    TABLE,
    "Retrieval: mean average precision at 10 in torchmetrics (`RetrievalMAP(top_k=10)`)",
    libraries="torchmetrics",
    expect="A search that finds one of five relevant rows scores a fifth, as in trec_eval.",
    happens="It scores {once:.2f} if that one is in the first place. What was missed does not "
    "count. One *more* relevant row, in the tenth place, lowers the score to {twice:.2f}.",
    cost="Scores of two papers differ by the library, and a better search can have the lower one.",
    instead="`RetrievalMAP()` over the whole ranking, or trec_eval's `map_cut_10`; say which.",
    holds=lambda seen: seen["once"] == 1 > seen["twice"] > 0.5,
)
def average_precision_forgets_what_was_missed() -> Seen:
    import torch
    from torchmetrics.retrieval import RetrievalMAP

    def score(places: list[int]) -> float:
        relevant = torch.zeros(20, dtype=torch.long)
        relevant[torch.tensor(places) - 1] = 1
        query = torch.zeros(20, dtype=torch.long)
        return float(RetrievalMAP(top_k=10)(torch.linspace(1, 0, 20), relevant, indexes=query))

    return {"once": score([1, 15, 16, 17, 18]), "twice": score([1, 10, 16, 17, 18])}
