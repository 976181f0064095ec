"""``sct_rootlets train``: train a model of rootlets on own labelled scans, by nnU-Net."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.bids import SEGMENTED_CONTRASTS
from sct_rootlets.cli.parsers import (
    MANDATORY,
    add_misc,
    add_overwrite,
    add_strict,
    add_version,
    command_parser,
    strict_status,
)
from sct_rootlets.cli.run import check_models, check_paths, run, say
from sct_rootlets.errors import SctRootletsError

if TYPE_CHECKING:
    from sct_rootlets.image import Volume
    from sct_rootlets.nnunet.first_labels import Prediction
    from sct_rootlets.nnunet.settings import Fold, TrainingSettings

EXAMPLES = """\
  sct_rootlets train -i data -ofolder training -check            # labels, splits and pictures; no nnU-Net needed
  sct_rootlets train -i data -ofolder training                   # train; after a stop, run it again
  sct_rootlets train -i data -ofolder training -folds 0 -start bundled -epochs 250
  sct_rootlets train -ofolder training -export our-model.zip     # for: sct_rootlets models install
  sct_rootlets train -i data -ofolder first -bootstrap -contrasts UNIT1   # predict first labels, to be corrected"""


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    parser = command_parser(
        "sct_rootlets train",
        "Train a model of rootlets on labelled scans of a BIDS folder with nnU-Net v2: one model for all contrasts,\n"
        "with a split by subject. Labels: derivatives/labels/sub-01/anat/sub-01_T2w_label-rootlets_dseg.nii.gz (2 is\n"
        "C2 ... 9 is T1). They are checked first. To continue a training that was stopped, run the same command again.",
        EXAMPLES,
    )
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument("-ofolder", required=True, metavar="<folder>", help="folder of the training")
    mandatory.add_argument(
        "-i",
        nargs="+",
        metavar="<folder>",
        help="BIDS folders; a subject of two folders counts as one person (not for -export)",
    )
    _add_actions(parser.add_argument_group("OPTIONAL ARGUMENTS: INSTEAD OF TRAINING"))
    _add_data(parser.add_argument_group("OPTIONAL ARGUMENTS: DATA"))
    _add_training(parser.add_argument_group("OPTIONAL ARGUMENTS: TRAINING"))
    _add_bootstrap(parser.add_argument_group("OPTIONAL ARGUMENTS: WITH -bootstrap"))
    release = parser.add_argument_group("OPTIONAL ARGUMENTS: WITH -export")
    add_version(release, "1.0", "version of the model (default: 1.0)")
    for name, text in (
        ("licence", "licence of the weights"),
        ("citation", "what to cite"),
        ("url", "where the file will be published"),
    ):
        release.add_argument(f"-{name}", default="", metavar="<text>", help=text)
    add_overwrite(release)
    add_misc(parser)
    return parser


def _add_actions(group: argparse._ArgumentGroup) -> None:
    action = group.add_mutually_exclusive_group()
    action.add_argument(
        "-check", action="store_true", help="check the labels, make the split, draw a picture of each scan, and stop"
    )
    action.add_argument(
        "-export", metavar="<zip>", help="pack the finished folds of -ofolder for other people, and for SCT"
    )
    action.add_argument(
        "-bootstrap",
        action="store_true",
        help="predict first labels of scans without labels, for review; before, bright and dark are exchanged "
        "(docs/train.md)",
    )


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-labels", nargs="+", default=[], metavar="<folder>", help="label folders in place of derivatives/labels"
    )
    group.add_argument(
        "-contrasts",
        nargs="+",
        default=[],
        metavar="<name>",
        help=f"contrasts to train on, such as {' '.join(SEGMENTED_CONTRASTS)} (default: all)",
    )
    group.add_argument(
        "-exclude", nargs="+", default=[], metavar="<name>", help="subjects (sub-01) or scans (sub-01_T2w) to leave out"
    )
    group.add_argument(
        "-desc",
        metavar="<name>",
        help="rootlet maps to train on where a scan has those of several raters, such as rater1 for desc-rater1 "
        "(default: the consensus, desc-staple or desc-consensus)",
    )
    group.add_argument(
        "-splits",
        metavar="<file>",
        help="your own split: a table with participant_id, split (train, val, test) and fold, the splits.tsv of "
        "another training, a published table (Subject, Fold_0, ...), or a splits_final.json; refused if a subject is "
        "on two sides",
    )
    group.add_argument(
        "-person-clean",
        action="store_true",
        help="with -splits: move all scans of a subject who is on two sides to one: test, else validation",
    )
    group.add_argument("-n-folds", type=int, default=5, metavar="<n>", help="number of folds (default: 5)")
    group.add_argument(
        "-test-share",
        type=float,
        default=0.2,
        metavar="<share>",
        help="share of the subjects that is kept for the test (default: 0.2)",
    )
    group.add_argument("-seed", type=int, default=0, metavar="<n>", help="seed of the random split (default: 0)")


def _add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-folds",
        nargs="+",
        type=_fold,
        default=[],
        metavar="<n>",
        help="folds to train, or with -export to pack (default: those of the split); 'all' is a fold of its own, which "
        "is trained on every scan outside the test and cannot be validated",
    )
    group.add_argument("-epochs", type=int, default=1000, metavar="<n>", help="number of epochs (default: 1000)")
    group.add_argument("-iterations", type=int, metavar="<n>", help="batches an epoch (default: 250, as nnU-Net)")
    group.add_argument(
        "-patience",
        type=int,
        metavar="<n>",
        help="end a fold after so many epochs without a better Dice in validation, and go back to its best weights "
        "(default: train all epochs, as nnU-Net)",
    )
    group.add_argument(
        "-device", choices=("cuda", "cpu", "mps"), help="device (default: cuda to train, cpu for -bootstrap)"
    )
    group.add_argument("-threads", type=int, metavar="<n>", help="processes that read and augment (default: nnU-Net's)")
    group.add_argument(
        "-start",
        metavar="<model>",
        help="start from this model: bundled, an installed one, or a folder; its plan is used",
    )
    group.add_argument(
        "-like", metavar="<model>", help="use the plan of this model (network, patch, voxels), but not its weights"
    )
    group.add_argument(
        "-memory-gb", type=float, metavar="<n>", help="memory of the GPU to plan for (default: nnU-Net's 8)"
    )


def _add_bootstrap(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-no-invert", action="store_true", help="predict on the images as they are, not inverted")
    group.add_argument("-model", metavar="<model>", help="the model that predicts (default: bundled)")
    add_strict(group)


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> int:
        if not arguments.i and not arguments.export:
            parser.error("give the BIDS folder: -i <folder>")
        if arguments.n_folds < 1 or arguments.epochs < 1 or not 0 <= arguments.test_share < 1:
            parser.error("-n-folds and -epochs are at least 1, -test-share is from 0 to below 1")
        if any(n is not None and n < 1 for n in (arguments.iterations, arguments.threads, arguments.patience)):
            parser.error("-iterations, -threads and -patience are at least 1")
        if "all" in arguments.folds and arguments.patience is not None:
            parser.error("-patience needs scans to validate on: fold 'all' has none")
        if "all" in arguments.folds and len(arguments.folds) > 1 and arguments.export:
            parser.error("fold 'all' was trained on what the others are validated on: pack it alone")
        if arguments.start and arguments.like:
            parser.error("-start takes the plan of its model: leave out -like")
        if (arguments.model or arguments.no_invert) and not arguments.bootstrap:
            parser.error("-model and -no-invert go with -bootstrap (-start names the model to start from)")
        if arguments.strict and not arguments.bootstrap:
            parser.error("-strict goes with -bootstrap: it judges the labels that are predicted")
        if arguments.desc and (arguments.export or arguments.bootstrap):
            parser.error("-desc chooses labels to train on: it does not go with -export and -bootstrap")
        if arguments.person_clean and not arguments.splits:
            parser.error("-person-clean goes with -splits: splits that are made here have nobody on two sides")
        check_paths(*(arguments.i or ()), *arguments.labels, arguments.splits)
        check_models(arguments.model, arguments.start, arguments.like)
        if arguments.bootstrap:
            return _bootstrap(arguments)
        if arguments.export:
            _export(arguments)
        elif arguments.check:
            _check(arguments)
        else:
            _train(arguments)
        return 0

    return run(parser, argv, command, "run the same command again to continue")


def _fold(text: str) -> Fold:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither the number of a fold nor 'all'")
    return "all" if text == "all" else int(text)


def _settings(arguments: argparse.Namespace) -> TrainingSettings:
    from sct_rootlets.nnunet.settings import TrainingSettings

    return TrainingSettings(
        bids=tuple(Path(folder) for folder in arguments.i),
        labels=tuple(Path(folder) for folder in arguments.labels),
        contrasts=tuple(arguments.contrasts),
        exclude=tuple(arguments.exclude),
        desc=None if arguments.desc is None else arguments.desc.removeprefix("desc-"),
        splits=None if arguments.splits is None else Path(arguments.splits),
        person_clean=arguments.person_clean,
        n_folds=arguments.n_folds,
        test_share=arguments.test_share,
        seed=arguments.seed,
        folds=tuple(arguments.folds),
        epochs=arguments.epochs,
        iterations=arguments.iterations,
        patience=arguments.patience,
        device=arguments.device or "cuda",
        threads=arguments.threads,
        start=arguments.start,
        like=arguments.like,
        memory_gb=arguments.memory_gb,
    )


def _check(arguments: argparse.Namespace) -> None:
    from sct_rootlets.nnunet.preparation import check_only

    check_only(_settings(arguments), Path(arguments.ofolder), say if arguments.v else _say_nothing)


def _train(arguments: argparse.Namespace) -> None:
    from sct_rootlets.nnunet.train import train

    folder = Path(arguments.ofolder)
    results = train(_settings(arguments), folder, say if arguments.v else _say_nothing)
    if arguments.v:
        say(f"trained: {results}", f"pack it with: sct_rootlets train -ofolder {folder} -export <name>.zip")


def _say_nothing(_: str) -> None:
    """Leave out a line that `-v 0` does not show."""


def _export(arguments: argparse.Namespace) -> None:
    from sct_rootlets.nnunet.release import export

    archive = Path(arguments.export)
    entry = export(
        Path(arguments.ofolder),
        archive,
        version=arguments.version,
        folds=arguments.folds,
        licence=arguments.licence,
        citation=arguments.citation,
        url=arguments.url,
        overwrite=bool(arguments.overwrite),
    )
    if arguments.v:
        say(
            f"written: {archive}, and {entry} for a catalogue of models",
            f"install it with: sct_rootlets models install {archive.stem} -custom-url {archive}",
        )


def _bootstrap(arguments: argparse.Namespace) -> int:
    from sct_rootlets.deepseg import SegmentationSettings, load_networks, segment_rootlets
    from sct_rootlets.models.store import find_model
    from sct_rootlets.nnunet.first_labels import Prediction, predict_first_labels
    from sct_rootlets.segmentation.subject import subject_of_segmentation

    model = find_model(arguments.model)
    settings = SegmentationSettings(model=model, device=arguments.device or "cpu", threads=arguments.threads)
    segmenter = load_networks(settings)

    def predict(volume: Volume) -> Prediction:
        found = segment_rootlets(volume, settings=settings, segmenter=segmenter)
        return Prediction(found.rootlets, subject_of_segmentation(volume, found).flags)

    labels = predict_first_labels(
        arguments.i,
        Path(arguments.ofolder),
        predict,
        model.describe(),
        arguments.labels,
        arguments.contrasts,
        not arguments.no_invert,
    )
    if arguments.v:
        for label in labels:
            stem = label.scan.image.stem
            if not label.has_failed:
                say(f"{stem}: {label.note or label.label}")
            say(*(f"note: {stem}: {flag.note}" for flag in label.flags if flag.is_raised))
        say('correct them, set "Reviewed" to true in their sidecars (.json), and train with them: -labels')
    failed = [label for label in labels if label.has_failed]
    if failed:
        reasons = "".join(f"\n  {label.scan.image.stem}: {label.note}" for label in failed)
        raise SctRootletsError(f"{len(failed)} of {len(labels)} scans could not be predicted:{reasons}")
    return strict_status(arguments, [flag for label in labels for flag in label.flags])
