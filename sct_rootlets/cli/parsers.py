"""The parsers of the commands, in the manner of the Spinal Cord Toolbox, and the arguments that they share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sct_rootlets.deepseg import PageOptions
    from sct_rootlets.flags import Flag

#: Exit status with ``-strict`` after an implausible result.
EXIT_IMPLAUSIBLE = 3

MODEL_HELP = (
    "name of an installed model of rootlets (sct_rootlets models list), or an nnU-Net model folder with classes lvl1, "
    "lvl2, ..., in place of the bundled model"
)


#: Headings of the groups of arguments, as the Spinal Cord Toolbox has them; more may follow after a colon.
MANDATORY, OPTIONAL, MISC = "MANDATORY ARGUMENTS", "OPTIONAL ARGUMENTS", "MISC"
#: Width of the help in columns, whatever the width of the terminal.
HELP_WIDTH = 100


class HelpFormatter(argparse.HelpFormatter):
    """Help of one width: paragraphs are filled, and lines that begin with spaces stay as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=HELP_WIDTH)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        import textwrap

        paragraphs: list[str] = []
        for paragraph in text.split("\n\n"):
            is_filled = not any(line.startswith(" ") for line in paragraph.splitlines())
            paragraphs.append(textwrap.fill(paragraph, width) if is_filled else paragraph)
        return "\n\n".join(paragraphs)


class CommandParser(argparse.ArgumentParser):
    """A parser with the help of the Spinal Cord Toolbox, which takes options only as they are spelt in it.

    The line of usage has the mandatory arguments, and says that there are others. `argparse` has two shorter spellings
    for options with one dash, which ``allow_abbrev=False`` does not switch off: ``-l`` for ``-ldisc``, and
    ``-ofolder x`` for ``-o folder x``.
    """

    def format_usage(self) -> str:
        """Return the line of usage, as it stands above an error of usage."""
        self.usage = self._usage_line()
        return super().format_usage()

    def format_help(self) -> str:
        """Return the help."""
        self.usage = self._usage_line()
        return super().format_help()

    def _usage_line(self) -> str:
        import textwrap

        formatter = self._get_formatter()
        words = [self.prog.replace("%", "%%")]
        for group in self._action_groups:
            for action in group._group_actions:
                name = "" if not action.option_strings else f"{action.option_strings[0]} "
                text = f"{name}{formatter._format_args(action, '')}".strip()
                if not action.option_strings and group.title != MISC:
                    words.append(text)
                elif (group.title or "").startswith(MANDATORY):
                    words.append(text if action.required or group.title == MANDATORY else f"[{text}]")
        unbroken = " ".join(word.replace(" ", "\0") for word in [*words, "[optional arguments]"])
        indent = " " * len("usage: ")
        return (
            textwrap.fill(unbroken, HELP_WIDTH, initial_indent=indent, subsequent_indent=indent)
            .strip()
            .replace("\0", " ")
        )

    def _get_option_tuples(self, option_string: str) -> list[tuple[argparse.Action, str, str | None]]:
        return refuse_shortened(self, option_string)


def refuse_shortened(parser: argparse.ArgumentParser, word: str) -> list[tuple[argparse.Action, str, str | None]]:
    """Find no option for a word that is none; called by `argparse` in place of its search for abbreviations.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        A word that begins one of its options is bad usage.
    word : str
        Begins with a dash, and is no option.

    Returns
    -------
    list
        Empty.
    """
    begun = word.split("=", 1)[0]
    candidates = sorted(
        option
        for option, action in parser._option_string_actions.items()
        if option.startswith(begun) and action.help is not argparse.SUPPRESS
    )
    if candidates and set(begun) != {"-"}:
        parser.error(f"{begun} is not an option; options that begin so: {', '.join(candidates)}")
    return []


class _ShowVersion(argparse.Action):
    """Print the version of the package and exit; with a value, which only ``train`` takes, keep the value."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if isinstance(values, str):
            setattr(namespace, self.dest, values)
            return
        from sct_rootlets.distribution import version

        print(version())
        parser.exit()


def add_version(group: argparse._ArgumentGroup, default: str | None = None, text: str = "") -> None:
    """Add ``-version``, which prints the version of the package.

    Parameters
    ----------
    group : argument group
    default, text : str, optional
        With them the option also takes a value, which is stored: its default, and what it is.
    """
    shown = "show the version of sct_rootlets and exit"
    if default is None:
        group.add_argument("-version", nargs=0, action=_ShowVersion, default=argparse.SUPPRESS, help=shown)
    else:
        group.add_argument(
            "-version",
            nargs="?",
            action=_ShowVersion,
            default=default,
            metavar="<text>",
            help=f"{text}; without a text: {shown}",
        )


def command_parser(prog: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Build a parser in the manner of the Spinal Cord Toolbox, without arguments yet.

    Parameters
    ----------
    prog : str
        Name of the command.
    description : str
    examples : str
        Command lines, shown unchanged at the end of the help.
    """
    return CommandParser(
        prog=prog,
        description=description,
        epilog=f"examples:\n{examples}",
        add_help=False,
        allow_abbrev=False,
        formatter_class=HelpFormatter,
    )


def toolbox_parser(action: str, description: str) -> argparse.ArgumentParser:
    """Build the complete parser of an action on an installed Spinal Cord Toolbox."""
    prog = f"sct_rootlets {action}"
    parser = command_parser(prog, description, f"  {prog}\n  {prog} -sct-dir ~/sct_7.4")
    parser.add_argument_group(OPTIONAL).add_argument(
        "-sct-dir", metavar="<folder>", help="folder of the Spinal Cord Toolbox (default: the one of this environment)"
    )
    add_misc(parser)
    return parser


def add_misc(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the group of arguments that every command has, ``-v``, ``-version`` and ``-h``, and return it."""
    misc = parser.add_argument_group(MISC)
    misc.add_argument(
        "-v",
        type=int,
        choices=(0, 1, 2),
        default=1,
        metavar="<0|1|2>",
        help="0 prints errors, 1 also results and notes, 2 also each step and where an error came from (default: 1)",
    )
    if "-version" not in parser._option_string_actions:
        add_version(misc)
    misc.add_argument("-h", "--help", action="help", help="show this help and exit")
    return misc


def add_overwrite(group: argparse._ArgumentGroup) -> None:
    """Add the argument that lets a command replace files of the user."""
    group.add_argument(
        "-overwrite",
        type=int,
        choices=(0, 1),
        default=0,
        metavar="<0|1>",
        help="replace output files that this command did not write, or that were edited since; inputs are never "
        "replaced (default: %(default)s)",
    )


def add_qc(group: argparse._ArgumentGroup) -> None:
    """Add the arguments of the page of quality control, as SCT's commands have them."""
    group.add_argument(
        "-qc",
        metavar="<folder>",
        help="add the result to the review page in this folder (open its index.html in a browser); results of several "
        "runs accumulate there",
    )
    group.add_argument("-qc-dataset", metavar="<name>", help="name of the dataset on the page")
    group.add_argument(
        "-qc-subject", metavar="<name>", help="name of the subject on the page (default: sub-... of the file's name)"
    )


def add_uncertain_names(group: argparse._ArgumentGroup) -> None:
    """Add the option that decides what maps hold where names are improbable."""
    group.add_argument(
        "-uncertain-names",
        choices=("write", "omit"),
        default="write",
        help="rootlets whose level has a probability below 0.5: write them with a note (default), or leave them out",
    )


def add_model(group: argparse._ArgumentGroup) -> None:
    """Add the options that choose another model of rootlets, and how networks of rootlets run."""
    group.add_argument("-model", metavar="<name>", help=MODEL_HELP)
    group.add_argument(
        "-names",
        choices=("model", "chain"),
        help="with -model, what names the levels. model: the classes of that model, as in the Spinal Cord Toolbox "
        "(default). chain: the order of the roots along the cord, the vertebrae and the cord, as for the bundled model",
    )
    group.add_argument(
        "-fov",
        choices=("cord", "full"),
        help="with -model, where that model runs: around the cord (default), or in the full field of view, voxel for "
        "voxel as nnU-Net does, which takes several times as long",
    )
    group.add_argument(
        "-precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="number format of the rootlet networks on a CPU: bfloat16 is faster on CPUs that have instructions for "
        "it, and changes single voxels (default: float32)",
    )


def model_settings(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> dict[str, Any]:
    """Settings of the model by their names in `sct_rootlets.deepseg.SegmentationSettings`.

    It is an error of usage to say how another model runs without naming one.
    """
    from sct_rootlets.models.manifest import BUNDLED

    if arguments.model in (None, BUNDLED) and (arguments.names or arguments.fov):
        option = "-names" if arguments.names else "-fov"
        parser.error(f"{option} goes with -model: the bundled model names levels along the cord, and looks there")
    if arguments.names == "chain" and arguments.fov == "full":
        parser.error("-fov full goes with -names model: rootlets are named along the cord, and looked for there")
    return {
        "names": arguments.names or "model",
        "field_of_view": arguments.fov or "cord",
        "precision": arguments.precision,
    }


def add_strict(group: argparse._ArgumentGroup) -> None:
    """Add ``-strict``."""
    group.add_argument(
        "-strict",
        action="store_true",
        help="write everything, then exit with status 3 if a flag says that a result is implausible",
    )


def strict_status(arguments: argparse.Namespace, flags: Sequence[Flag]) -> int:
    """Exit status of a command whose results are written: 3 with ``-strict`` if a flag is bad, else 0."""
    return EXIT_IMPLAUSIBLE if arguments.strict and any(flag.state == "bad" for flag in flags) else 0


def page_options(arguments: argparse.Namespace) -> PageOptions | None:
    """Read where the result goes on the page of quality control, from the arguments of `add_qc`; None without -qc."""
    from sct_rootlets.deepseg import PageOptions

    if arguments.qc is None:
        return None
    return PageOptions(folder=Path(arguments.qc), dataset=arguments.qc_dataset, subject=arguments.qc_subject)


def positive(text: str) -> int:
    """Parse a whole number from 1 up."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return int(text)


#: More threads no machine has; systems break down when asked for millions.
MAX_THREADS = 1024


def thread_count(text: str) -> int:
    """Parse a number of threads."""
    number = positive(text)
    if number > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_THREADS}, not {text}")
    return number
