"""The script that counts for several processes, and its digest. Pure, but for reading a file of the package once."""

import hashlib
from pathlib import Path

SCRIPT = Path(__file__).with_name("tenancy.lua").read_text("utf-8")
SHA1 = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
