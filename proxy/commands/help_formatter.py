"""How help texts look: rich's, with nothing in them taken for markup."""

from rich_argparse import RawDescriptionRichHelpFormatter


class HelpFormatter(RawDescriptionRichHelpFormatter):
    """Leaves lines as they were broken, and `[1m]` as it was written."""

    text_markup = False
    help_markup = False
    group_name_formatter = str.capitalize
