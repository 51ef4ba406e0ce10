"""What the chapters say of measured numbers is what the records say, so that text and record cannot part.

Each pair is a piece of a chapter's prose, with its numbers written from the record, and what has to hold for its words.
"""

import nbformat
import numpy as np
import pytest
from conftest import ROOT

from coursekit import claims, data, experiments, records


def mean(numbers):
    return float(np.mean(numbers))


def spread(numbers):
    return float(np.std(numbers, ddof=1))


def percent(share, digits=0):
    return f"{100 * share:.{digits}f} %"


def values(claim_id, comparison, profile="full"):
    """The two series of one of a claim's comparisons."""
    return list(claims.comparisons_of(records.read(claim_id, profile))[comparison].values.values())


def lead(larger, smaller, quantity="accuracy"):
    """Whether one series is larger than another: the outcome of that experiment."""
    return claims.greater(quantity, larger=larger, smaller=smaller).outcome


def untold(one, other):
    """Whether seeds tell no lead of one of two accuracies."""
    return lead(one, other) not in ("holds", "reversed")


def outcomes(claim_id, profile="full"):
    return [comparison.outcome for comparison in claims.comparisons_of(records.read(claim_id, profile))]


def copies():
    """What JPEG copies cost, of which four chapters speak."""
    (published, on_copies), (published_56, on_copies_56) = (
        (of["published"], of["copies"])
        for of in map(records.read("public-resnets", "full").get, ("20 layers", "56 layers"))
    )
    yield (
        f"gets {percent(published, 2)} of the original test images right, as its author reports, and "
        f"{percent(on_copies, 2)} of the copies, as we have measured.",
        True,
    )
    yield (
        f"a ResNet-20 has {percent(1 - published, 2)} there, by its author's account, and "
        f"{percent(1 - on_copies, 2)} on the copies, a ResNet-56 has {percent(1 - published_56, 2)} and "
        f"{percent(1 - on_copies_56, 2)}.",
        True,
    )


def transfer():
    yield next(copies())
    full = records.read("transfer", "full")
    test, scratch = np.array(full["test"]), np.array(full["from scratch"])  # (frozen, labels, seeds), (labels, seeds)
    tuned, frozen = test[0], test[-1]
    gains = (tuned - scratch).mean(1)
    yield (
        "The lead over a random start shrinks as labels come in, and after as many steps it is still there with a "
        "thousand labels a class.",
        full["labels"][-1] == 1000 and (np.diff(gains) < 0).all() and gains[-1] > 0.02,
    )
    yield (
        "Frozen and fine-tuned networks lie closer together than the seeds of either.",
        all(abs(mean(frozen[few]) - mean(tuned[few])) < min(spread(frozen[few]), spread(tuned[few])) for few in (0, 1)),
    )
    yield (
        "The two lowest layers can stay frozen at no visible cost. With a thousand labels a class, networks whose "
        "lowest layer is frozen even did better than those in which everything learns, in each of the six seeds, "
        "though the interval still reaches zero. The upper layers have to learn.",
        (tuned[-2:].mean(1) - test[1:3, -2:].mean(2) < 0.01).all()
        and full["labels"][-1] == 1000
        and (test[1, -1] > tuned[-1]).all()
        and lead(test[1, -1], tuned[-1]) == "undecided"
        and test.shape[-1] == 6
        and mean(test[2, -2:]) - mean(test[4, -2:]) > 0.01,
    )
    shallow = {name: np.mean(of_labels, axis=1) for name, of_labels in full["shallow"].items()}
    yield (
        "Features of other classes lift a single dense layer far above raw pixels.",
        (shallow["layer 4"] - shallow["pixels"] > 0.15).all(),
    )
    quick = records.read("transfer", "quick")
    frozen, scratch = (np.mean(of[2:], axis=0) for of in (quick["test"][-1], quick["from scratch"]))  # by seeds
    yield "By then, on digits, even a network from scratch cannot be told from the frozen one.", untold(frozen, scratch)
    digits = {name: (np.mean(of[:-1], axis=0), of[-1]) for name, of in quick["shallow"].items()}  # few labels, and many
    yield (
        "The lowest layer on its coarse grid cannot be told from all the pixels. And reading all layers shows no gain "
        "over reading the top one that these seeds could tell.",
        all(map(untold, digits["layer 1"], digits["pixels"]))
        and all(map(untold, digits["all layers"], digits["layer 3"])),
    )
    runs = experiments.recorded("transfer-imagenet", "quick")
    of_clipart = {name: by_labels for name, by_labels in runs.groupby("reading")}
    read, pixels = (of_clipart[name].groupby("labels").test.mean() for name in ("ImageNet", "pixels"))
    yield (
        f"With two labels a class, the linear model on ImageNet's features is right for {percent(read[2])} of the "
        f"pictures that it has not seen, and for {percent(pixels[2])} on pixels. With twenty labels it is right for "
        f"{percent(read[20])}, on pixels for {percent(pixels[20])}.",
        True,
    )
    guessed = np.bincount(data.load("clipart").y_test)
    yield (
        "(Always to say *mammals*, of which there are most, would be right for "
        f"{percent(max(guessed) / sum(guessed))}.)",
        guessed.argmax() == 0,
    )
    against = runs.pivot(index=["labels", "seed"], columns="reading", values="test")
    worse = against["random weights"] - against["pixels"]
    yield (
        "The same network with random weights serves no better than pixels; with ten labels a class and with twenty "
        "it is worse in every one of the eight draws.",
        worse.groupby("labels").mean().max() < 0 and worse[[10, 20]].max() < 0,
    )
    yield from ways_to_train()
    photographs = experiments.recorded("transfer-imagenet", "full")
    right = photographs.groupby(["reading", "labels"]).test.mean()
    yield (
        f"is right in {100 * right['pixels', 5]:.0f} of 100 cases where it looks at the pixels; that cannot be told "
        f"from guessing. The same model is right in {100 * right['ImageNet', 5]:.0f} of 100 where",
        untold(photographs[(photographs.reading == "pixels") & (photographs.labels == 5)].test, np.full(6, 0.5)),
    )
    of_photographs = dict(list(experiments.recorded("transfer-photographs", "quick").groupby("knowledge")))
    read, random = of_photographs["photographs"], of_photographs["random weights"]
    yield (
        f"Read at the end of the first stage, they are right for {percent(read['stage 1'].mean())} of the test images, "
        f"pixels for {percent(read['pixels'].mean())}, and the same network with random weights for "
        f"{percent(random['stage 1'].mean())}. (The network that has learned other digits has "
        f"{percent(mean(quick['shallow']['layer 3'][1]))}, too, on average over other draws.)",
        True,
    )
    falls = [of["stage 1"].to_numpy() - of["stage 3"].to_numpy() for of in (read, random)]
    yield (
        "In stage 3, photographs serve less, by six points. So do random weights on average, by three, and these seeds "
        "cannot tell one fall from the other.",
        [round(100 * mean(fall)) for fall in falls] == [6, 3] and untold(*falls),
    )
    heads = experiments.recorded("transfer-heads", "quick")
    forgotten = heads[(heads.batch_norm == "forgotten") & (heads.pictures == "negatives")]
    yield (
        f"The first head loses {100 * (forgotten.before - forgotten.after).mean():.0f} points",
        (heads[heads.batch_norm == "frozen"].before == heads[heads.batch_norm == "frozen"].after).all(),
    )


def ways_to_train():
    """Chapter 1's ways to fine-tune with few labels, and its longer trainings."""
    runs = experiments.recorded("transfer-ways", "quick")
    few = runs[runs.labels < 20].groupby(["way", "rate", "seed"]).test.mean()
    middle = few[few.index.get_level_values("rate").isin((5e-4, 2e-3, 8e-3, 3e-2))].groupby(["way", "seed"]).mean()
    yield (
        "Over these, freezing wins against fine-tuning with batch norm frozen, by six points: large rates ruin that. "
        "Against plain fine-tuning, with batch norm learning as well, no lead of either can be told.",
        outcomes("transfer-freeze-untuned", "quick") == ["undecided", "holds"]
        and round(100 * (middle["frozen"] - middle["fine-tuned, batch norm frozen"]).mean()) == 6,
    )
    yield (
        f"At 0.0001, the frozen network is right for {percent(few['frozen', 1e-4].mean())} of the test images.",
        True,
    )
    yield (
        f"a network in which everything may move gets to {percent(few['fine-tuned', 1e-4].mean())}.",
        True,
    )
    over_all = few.groupby(["way", "seed"]).mean()
    yield (
        "(In the mean over all six rates, plain fine-tuning would be ahead of freezing.)",
        lead(over_all["fine-tuned"], over_all["frozen"]) == "holds" and runs.rate.nunique() == 6,
    )
    best = experiments.best(runs, "rate", by="validation", of=["way", "labels"])
    at_best = best[best.labels < 20].groupby(["way", "seed"]).test.mean()
    of_way = {way: percent(at_best[way].mean()) for way in runs.way.unique()}
    yield (
        f"with batch norm frozen, fine-tuning is right for {of_way['fine-tuned, batch norm frozen']} of the test "
        f"images, and with batch norm learning for {of_way['fine-tuned']}.",
        outcomes("transfer-finetune-batchnorm", "quick") == ["undecided"],
    )
    yield (
        f"the head first and then everything gives {of_way['head first']}, everything at once "
        f"{of_way['fine-tuned, batch norm frozen']}, and the interval of the lead just clears zero.",
        0 < claims.comparisons_of(records.read("transfer-head-first", "quick"))[0].interval[0] < 0.005,
    )
    yield (
        "the network gains a point over one that stays frozen at one rate, and this interval lies above zero, too. To "
        "unfreeze the layers one after the other gives no more than to unfreeze them all.",
        lead(at_best["head first"], at_best["frozen"]) == "holds"
        and abs(mean(at_best["head first"]) - mean(at_best["frozen"]) - 0.01) < 0.003
        and lead(at_best["from the top down"], at_best["head first"]) == "no difference",
    )
    yield (
        "Against plain fine-tuning, with batch norm learning, it is undecided: anything from a point behind to three "
        "points ahead remains possible.",
        lead(at_best["head first"], at_best["fine-tuned"]) == "undecided",
    )
    many = best[best.labels > 20].groupby(["way", "seed"]).test.mean()
    yield (
        "With batch norm frozen on both sides, neither few labels nor many tell a network whose kernels move from a "
        "frozen one.",
        all(untold(of["fine-tuned, batch norm frozen"], of["frozen"]) for of in (at_best, many)),
    )
    longer = experiments.best(
        experiments.recorded("transfer-longer", "quick"), "rate", by="validation", of=["start", "times"]
    )
    after = {key: of.sort_values("seed").test.to_numpy() for key, of in longer.groupby(["start", "times"], sort=False)}
    leads = {times: after["source", times] - after["random", times] for times in (1, 4, 16)}
    shrinking = [f"{100 * mean(of):.1f}" for of in leads.values()]
    yield (
        f"{shrinking[0]} points at the usual length, {shrinking[1]} at four times the length, {shrinking[2]} at "
        "sixteen times. At the usual length these seeds tell it from chance. At the greatest they do not, but neither "
        "do they exclude a lead of more than a point.",
        claims.greater("accuracy", one=after["source", 1], other=after["random", 1]).interval[0] > 0
        and claims.greater("accuracy", one=after["source", 16], other=after["random", 16]).interval[1] > 0.01
        and untold(after["source", 16], after["random", 16]),
    )
    yield (
        "on average, the network from scratch needs four times as many steps to get where the fine-tuned one is after "
        "one length.",
        0 < mean(after["random", 4]) - mean(after["source", 1]) < 0.005 and mean(after["random", 1]) < 0.965,
    )


def normalization():
    yield next(copies())
    digits, photographs = (records.read("normalization", profile) for profile in ("quick", "full"))

    def test(name, of=photographs):
        return mean(of["table"][name]["test"])

    def gap(name, of=photographs):
        return mean(of["table"][name]["train"]) - test(name, of)

    yield (
        "*LRN* makes this network worse, with either constant.",
        max(test("LRN"), test("LRN as published")) < test("nothing")
        and set(outcomes("lrn-helps-alexnet")) == {"reversed"},
    )
    yield (
        "*Before the activation* is better than after it, for LRN and for batch norm, as on digits.",
        all(set(outcomes("norm-before-activation", profile)) == {"holds"} for profile in ("quick", "full")),
    )
    leads = [np.subtract(*values("norm-before-activation", condition, "quick")).mean() for condition in (0, 1)]
    yield (
        "On average, before is better by two points here, for LRN as for batch norm. The seeds tell both from chance, "
        "that of batch norm by a narrow margin; on photographs they tell both, too.",
        all(0.015 < one < 0.025 for one in leads)
        and set(outcomes("norm-before-activation", "quick")) == {"holds"}
        and 0 < claims.comparisons_of(records.read("norm-before-activation", "quick"))[0].interval[0] < 0.002,
    )
    yield (
        "with batch norm the gap is clearly larger, and the test accuracy is higher.",
        gap("BN before") > gap("nothing") + 0.03 and test("BN before") > test("nothing") + 0.03,
    )
    yield (
        "*Dropout* beside batch norm makes the network worse here, and on digits it makes it better. The network with "
        "dropout has learned less of its training images, with a gap half as large;",
        outcomes("bn-replaces-dropout") == ["holds"]
        and outcomes("bn-replaces-dropout", "quick") == ["reversed"]
        and 0.4 < gap("BN before, dropout") / gap("BN before") < 0.6,
    )
    without, with_bn = (np.array(photographs["steps needed"][name]) for name in ("no layer", "all layers"))
    yield "the factor is between two and three on average", 2 < mean(without / with_bn) < 3
    yield (
        "a network without batch norm gets to that never has more than a few photographs in ten right",
        max(mean(of_seeds) for of_seeds in photographs["deep by rate"]["no layer"]) < 0.35,
    )
    without, with_bn = (np.array(digits["steps needed"][name]) for name in ("no layer", "all layers"))
    yield "needs about half as many steps here", 0.4 < mean(with_bn) / mean(without) < 0.6
    yield (
        "Over no batch norm at all, these seeds tell no lead in front of the activation, and behind it the network is "
        "even worse, by two points; on photographs both places lead.",
        [lead(digits["table"][name]["test"], digits["table"]["nothing"]["test"]) for name in ("BN before", "BN")]
        == ["undecided", "reversed"]
        and 0.015 < test("nothing", digits) - test("BN", digits) < 0.025
        and {
            lead(photographs["table"][name]["test"], photographs["table"]["nothing"]["test"])
            for name in ("BN", "BN before")
        }
        == {"holds"},
    )
    yield (
        "Once both know them all, no difference between the two networks can be told from chance, in the gap or in the "
        "test accuracy.",
        outcomes("bn-overfits-less", "quick")[1] == "undecided"
        and lead(digits["table"]["BN before"]["test"], digits["table"]["nothing"]["test"]) == "undecided",
    )
    yield (
        "After the same number of steps, while the slower network still learns, the one with batch norm has the "
        "*larger* gap.",
        outcomes("bn-overfits-less", "quick")[0] == "reversed",
    )
    early = "BN before, a third of the steps", "nothing, a third of the steps"
    yield (
        "Its test accuracy is higher all the same: on digits on average, without being told from chance, and on "
        "photographs by far.",
        test(early[0], digits) > test(early[1], digits)
        and lead(*(digits["table"][name]["test"] for name in early)) == "undecided"
        and test(early[0]) > test(early[1]) + 0.05,
    )
    soon, late = (photographs["table"][name] for name in ("BN before, a third of the steps", "nothing"))
    yield (
        "(On photographs, batch norm needs a third of the steps to a test accuracy which these seeds do not tell from "
        "that of the other network. There, its gap is the smaller one.)",
        lead(soon["test"], late["test"]) == "undecided"
        and lead(np.subtract(late["train"], late["test"]), np.subtract(soon["train"], soon["test"])) == "holds",
    )
    over_layers, over_steps = (np.subtract(*values("bn-stabilises-gradients", condition)) for condition in (1, 2))
    yield (
        "On photographs the gradient varies less with batch norm from layer to layer in every seed, and from step to "
        "step in three of five, and each time the interval still reaches zero.",
        over_layers.min() > 0
        and (np.sum(over_steps > 0), len(over_steps)) == (3, 5)
        and outcomes("bn-stabilises-gradients")[1:] == ["undecided", "undecided"],
    )
    yield (
        "(On photographs, whether ReLU's answers still grow in the second half of the training is undecided.)",
        outcomes("norm-relu-unbounded")[1] == "undecided",
    )
    yield (
        "Against the scale of the weights, batch norm stabilizes the gradient by orders of magnitude. From layer to "
        "layer, on digits, these seeds do not tell",
        all(np.subtract(*values("bn-stabilises-gradients", 0, profile)).mean() > 2 for profile in ("quick", "full"))
        and outcomes("bn-stabilises-gradients", "quick")[1] == "undecided",
    )


def gan():
    full = records.read("gan", "full")
    stages = [mean(of_seeds) for of_seeds in full["distance by stage"]]
    by_size = {int(size): of_seeds for size, of_seeds in full["distance by size"].items()}
    yield (
        "The distance falls from stage to stage in all three runs, which they tell from chance for the first half of "
        "the training only, and it stays far above that of real images",
        (np.diff(full["distance by stage"], axis=0) < 0).all()
        and outcomes("gan-improves") == ["holds", "undecided"]
        and stages[-1] > 10 * full["distance of real images"],
    )
    yield (
        "One number of noise is far too few. Four are worse on average, which three seeds cannot tell from chance. As "
        "many as an image has values save less than half of the distance that 32 leave; whether they save anything is "
        "undecided.",
        mean(by_size[1]) > 3 * mean(by_size[32])
        and mean(by_size[4]) > mean(by_size[32])
        and lead(by_size[4], by_size[32], "distance") == "undecided"
        and outcomes("gan-latent-size")[1] == "holds"
        and lead(by_size[32], by_size[3072], "distance") == "undecided",
    )
    for record in (records.read("gan", "quick"), full):
        *_, before, after = map(mean, record["distance by stage"])
        yield "about what the second half of the training brings", 0.7 < 2 * (before - after) / after < 1.4
    yield "with as many numbers as values, training does not fail here", max(by_size[3072]) < stages[2]
    yield (
        "all three seeds show the same, and three are too few to decide it",
        np.subtract(*values("gan-no-copies", 0)).min() > 0 and outcomes("gan-no-copies") == ["undecided"],
    )


def inception():
    yield next(copies())
    digits, photographs = (records.read("inception", profile) for profile in ("quick", "full"))
    norms = np.array(digits["gradients"]["LRN"])  # (seeds, heads: one or all, layers: 1, 2, 3a, 3b, 4a, ...)
    ratio = (norms[:, 1] / norms[:, 0]).mean(0)
    yield (
        "raise the gradient in the early layers, by a third to a half on average, and most in module 4a",
        ratio[:4].min() > 1.3 and ratio[:4].max() < 1.55 and ratio.argmax() == 4,
    )
    first, *_, last = norms[:, 0].mean(0)
    yield "two thirds as large in the first layer as in the last module", abs(first / last - 2 / 3) < 0.05
    yield (
        "the main head's own gradient in the early layers is already thousands of times larger",
        np.array(digits["gradients"]["batch norm"])[:, 0].mean(0)[0] / first > 2000,
    )
    yield (
        "The extra heads bring the early layers more gradient here, too, in every seed.",
        np.subtract(*values("googlenet-auxiliary-heads", 0)).min() > 0,
    )
    nets = {name: mean(net["test"]) for name, net in photographs["googlenets"].items()}
    yield (
        "Of the GoogLeNets, the one with batch norm is far ahead here, too.",
        nets["batch norm"] > max(nets["LRN"], nets["LRN, three heads"]) + 0.1,
    )
    gaps = {kind: mean(of["train"]) - mean(of["test"]) for kind, of in photographs["kinds"].items()}
    yield (
        "the row fits its 500 photographs worse than the naive modules, and on average worse than those with "
        "reductions, so that its mean gap is the smallest, and on test images it is the worst all the same",
        min(gaps, key=gaps.get) == "stacked"
        and [
            lead(photographs["kinds"][kind]["train"], photographs["kinds"]["stacked"]["train"])
            for kind in ("naive", "reduced")
        ]
        == ["holds", "undecided"]
        and all(
            min(photographs["kinds"], key=lambda kind: mean(photographs["kinds"][kind][part])) == "stacked"
            for part in ("train", "test")
        ),
    )
    yield (
        "Beside the naive modules the seeds tell the gaps apart, beside those with reductions they do not.",
        outcomes("inception-overfits-less") == ["undecided", "reversed"],
    )
    yield (
        "What holds in both profiles is that filters side by side are better on test images.",
        all(
            min(mean(of["kinds"][kind]["test"]) for kind in ("reduced", "naive")) > mean(of["kinds"]["stacked"]["test"])
            for of in (digits, photographs)
        ),
    )
    of_kind = {kind: {part: np.array(of[part]) for part in ("train", "test")} for kind, of in digits["kinds"].items()}
    row, others = of_kind.pop("stacked"), of_kind.values()
    yield (
        "The row knows most of them, and on test images it is worse in every seed.",
        mean(row["train"]) > 0.9 and all((row["test"] < other["test"]).all() for other in others),
    )
    less = [other["train"] - row["train"] for other in others]
    yield (
        "Its training accuracy is lower, too: it does not only overfit more, it also fits worse.",
        all(lead(one, 0) == "holds" for one in less),
    )
    budget = {name: mean(of_seeds) for name, of_seeds in photographs["budget"].items()}
    yield (
        "With as many images the naive ones learn more on average, which is undecided, too.",
        budget["naive, same images"] > budget["reduced"]
        and lead(photographs["budget"]["naive, same images"], photographs["budget"]["reduced"]) == "undecided",
    )


def resnet():
    yield from copies()

    def net(name, part, profile="quick"):
        found = records.read("resnet", profile)["networks"][name][part]
        return mean(found[-1] if part == "loss" else found)

    yield (
        f"With 56 layers, the residual network fits {percent(net('residual 56', 'train'))} of its training images, and "
        f"the plain one {percent(net('plain 56', 'train'))}.",
        True,
    )
    yield (
        f"the residual network of 56 layers ends with a loss of {net('residual 56', 'loss'):.2f} on average, the one "
        f"of 8 with {net('residual 8', 'loss'):.2f}, and neither by the loss nor on test images can the two be told "
        f"apart",
        outcomes("resnet-depth-helps", "quick") == ["holds", "undecided", "undecided"],
    )
    yield (
        "At 8 layers, on these digits, the plain twin even ends with the lower loss",
        lead(
            *(records.read("resnet", "quick")["networks"][f"{kind} 8"]["loss"][-1] for kind in ("residual", "plain")),
            "loss",
        )
        == "holds",
    )
    before, after = values("resnet-learns-residual", 2, "quick")
    yield (
        "with 20, these seeds do not tell; and with 56 it lowers the median by a third. There half of the units "
        "add less than a quarter of what they get.",
        abs(mean(after) / mean(before) - 2 / 3) < 0.05 and mean(after) < 0.25,
    )
    (loss_post, loss_pre), (test_pre, test_post) = (
        values("resnet-preactivation", number, "quick") for number in (0, 1)
    )
    yield (
        "neither by their training loss nor on test images can the two be told apart: on average the unit of the first "
        "paper does better in both. On photographs, too, both are undecided.",
        outcomes("resnet-preactivation", "quick") == outcomes("resnet-preactivation", "full") == 2 * ["undecided"]
        and mean(loss_post) < mean(loss_pre)
        and mean(test_post) > mean(test_pre),
    )
    yield "The plain network of 56 layers hardly gets beyond guessing.", net("plain 56", "test", "full") < 0.21
    yield (
        "Its residual twin ends with about the training loss of the residual network of 8 layers",
        abs(net("residual 56", "loss", "full") - net("residual 8", "loss", "full")) < 0.05,
    )
    long, precision = records.read("resnet20", "full"), records.read("resnet20-precision", "full")["by policy"]
    final = long["test"][-1]
    yield f"Ours has learned from copies, and has {percent(final, 2)} of them right", True
    yield (
        "on those that it was trained on, it errs half as often",
        abs((1 - long["training accuracy"]) / (1 - final) - 0.5) < 0.05,
    )
    difference = abs(precision["float32"]["test"][-1] - precision["mixed_bfloat16"]["test"][-1])
    yield "the two differ by a quarter of a point", abs(100 * difference - 0.25) < 0.05
    without = long["without"]
    kept = [accuracy for unit, accuracy in without.items() if not unit.endswith(("2_unit1", "3_unit1"))]
    yield (
        "On average over the units that keep the shape, it retains more than half of its accuracy",
        mean(kept) > long["accuracy"] / 2,
    )
    table = records.read("resnet-table", "full")["networks"]
    errors = {name: mean([1 - of_seed[-1] for of_seed in of["test"]]) for name, of in table.items()}
    yield (
        f"After two epochs, the plain network of 20 layers errs in {100 * errors['plain 20']:.0f} of 100 images, that "
        f"of 56 layers in {100 * errors['plain 56']:.0f}, and that of 110 layers guesses.",
        abs(errors["plain 110"] - 0.9) < 0.01,
    )
    of_residual = outcomes("resnet-paper-table")[1:4]
    yield (
        "With shortcuts, depth changes nothing that three seeds could tell from chance.",
        set(of_residual) == {"undecided"},
    )
    yield (
        "though of the single steps, three seeds tell only that from 56 to 110 layers from chance",
        outcomes("resnet-paper-table")[4:] == ["undecided", "undecided", "holds"],
    )


CHAPTERS = {chapter.__name__: chapter for chapter in (transfer, normalization, gan, inception, resnet)}


@pytest.mark.parametrize("topic", CHAPTERS)
def test_the_prose_says_what_the_records_say(topic):
    (path,) = (ROOT / "book").glob(f"[0-9]*-{topic}*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    statements = list(CHAPTERS[topic]())
    assert [text for text, _ in statements if text not in prose] == [], "no longer in the chapter"
    assert [text for text, true in statements if not true] == [], "not what is on record"
